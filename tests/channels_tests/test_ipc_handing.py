"""Messages of ipc that a waiting receive is handed, past the queue."""

import asyncio
import os
import select
import socket
import threading
from unittest import mock

from django.channels.backends.ipc import IPCChannelLayer
from django.channels.backends.lmdb_store import handing, queues
from django.channels.backends.shared.store import AHEAD
from django.channels.exceptions import ChannelFull, LayerUnavailable
from django.test import SimpleTestCase
from django.test.layer_conformance.children import fork_quietly

from .ipc import IPCTests
from .utils import TIMEOUT

INBOX = ("in!",)


class HandingTestCase(IPCTests, SimpleTestCase):
    """Two stores; a receive of ``reader`` waits when a test says so."""

    def setUp(self):
        super().setUp()
        self.reader, self.writer = self.make_store(), self.make_store()
        for store in (self.reader, self.writer):
            store.renew()
        self.assertEqual(self.reader.take(INBOX, 1, wait=AHEAD), [])

    def wait(self, store=None):
        """Have a receive wait; return what ends that."""
        end = (store or self.reader).begin_wait(INBOX)
        self.assertIsNotNone(end)
        return end

    def send(self, *payloads, store=None, queue="in!", capacity=9):
        return (store or self.writer).append([(queue, capacity, list(payloads))])

    def hear(self):
        """Return what the reader hears: payloads, and names that it was rung for."""
        found, names = [], []
        for name, offered in self.reader.listen(TIMEOUT):
            if offered is None:
                names.append(name)
            else:
                found += self.payloads(self.reader.accept(name, offered))
        return found, names

    def payloads(self, entries):
        return [entry.payload for entry in entries]

    def take(self):
        return self.payloads(entry for _, entry in self.reader.take(INBOX, 9))

    def counts(self):
        statistics = self.writer.statistics("in!")
        return tuple(
            statistics[key]
            for key in ("messages_count", "messages_pending", "delivered_count")
        )


class HandingTests(HandingTestCase):
    def test_a_receive_that_waits_is_handed_what_comes(self):
        for n in (1, 2):
            self.wait()
            self.assertEqual(self.send(b"%d" % n), [1])
            self.assertEqual(self.counts(), (n, 0, n))
            self.assertEqual(self.hear(), ([b"%d" % n], []))
            # It need not take to wait again.
            self.assertTrue(self.reader.hears("in!"))
        self.assertEqual(self.take(), [])

    def test_it_is_handed_one_message(self):
        self.wait()
        self.send(b"1")
        self.send(b"2")
        self.send(b"3")
        self.assertEqual(self.counts(), (3, 2, 1))
        self.assertEqual(self.hear()[0], [b"1"])
        self.assertEqual(self.take(), [b"2", b"3"])

    def test_who_takes_gets_what_was_handed_over_before_what_is_stored(self):
        self.wait()
        for payload in (b"1", b"2", b"3"):
            self.send(payload)
        self.assertEqual(self.take(), [b"1", b"2", b"3"])
        self.assertEqual(self.hear()[0], [])
        self.assertEqual(self.counts(), (3, 0, 3))

    def test_what_is_not_accepted_yet_is_not_overtaken(self):
        self.wait()
        self.send(b"1")
        self.send(b"2")
        # A thread has heard of it as another one takes.
        (name, offered), *_ = self.reader.listen(TIMEOUT)
        self.assertEqual(self.take(), [b"1", b"2"])
        self.assertEqual(self.reader.accept(name, offered), [])

    def test_a_take_that_fails_loses_nothing(self):
        self.wait()
        self.send(b"1")
        with mock.patch.object(queues, "take", side_effect=OSError(28, "full")):
            with self.assertRaises(LayerUnavailable):
                self.reader.take(INBOX, 1)
        self.assertEqual(self.take(), [b"1"])

    def test_a_take_that_waits_for_nothing_overtakes_nothing(self):
        self.wait()
        self.send(b"1")
        self.send(b"2")
        self.assertEqual(self.reader._bell.listen(TIMEOUT)[0], ["in!"])
        taken = self.reader.take_at_once("in!", 1)
        self.assertEqual(self.payloads(entry for _, entry in taken), [b"1", b"2"])
        self.assertEqual(self.take(), [])

    def test_it_overtakes_nothing_that_nobody_has_heard_of(self):
        self.wait()
        self.send(b"1")
        self.send(b"2")
        taken = self.reader.take_at_once("in!", 1)
        self.assertEqual(self.payloads(entry for _, entry in taken), [b"1", b"2"])

    def test_nobody_is_handed_anything_after_the_wait(self):
        self.wait()()
        self.send(b"1")
        self.assertEqual(self.counts(), (1, 1, 0))
        self.assertEqual(self.hear(), ([], ["in!"]))

    def test_only_what_a_receive_waits_for_is_handed_over(self):
        self.wait()
        for queue, payloads in (
            ("in!", [b"1", b"2"]),
            ("in!", [b"x" * (handing.LARGEST + 1)]),
            ("other!", [b"1"]),
            ("normal", [b"1"]),
        ):
            with self.subTest(queue=queue, count=len(payloads)):
                stored = self.send(*payloads, queue=queue)
                self.assertEqual(stored, [len(payloads)])
                statistics = self.writer.statistics(queue)
                self.assertEqual(statistics["messages_pending"], len(payloads))
                self.reader.take([queue], 9, wait=AHEAD)

    def test_the_largest_message_that_is_handed_over_arrives(self):
        self.wait()
        self.send(b"x" * handing.LARGEST)
        self.assertEqual(self.counts(), (1, 0, 1))
        self.assertEqual(self.hear()[0], [b"x" * handing.LARGEST])

    def test_only_who_is_sure_to_be_rung_waits_so(self):
        self.assertIsNone(self.reader.begin_wait(("in!", "normal")))
        self.assertIsNone(self.reader.begin_wait(("normal",)))
        self.assertIsNone(self.reader.begin_wait(("other!",)))
        self.assertIsNone(self.make_store().begin_wait(INBOX))
        self.send(b"1")
        self.hear()
        self.assertIsNone(self.reader.begin_wait(INBOX))

    def test_messages_of_groups_are_handed_over(self):
        self.writer.register("group", "in!", 9, b"control")
        self.reader.claim([], ["in!"])
        self.reader.take(INBOX, 1)
        self.reader.take(INBOX, 1, wait=AHEAD)
        while self.reader.listen(0.01):
            pass
        self.reader.take(INBOX, 1, wait=AHEAD)
        self.wait()
        self.writer.send_group("group", b"1")
        self.assertEqual(self.hear(), ([b"1"], []))

    def test_it_expires_as_what_is_stored(self):
        clock = self.writer.clock()
        self.wait()
        with mock.patch.object(self.writer, "clock", return_value=clock - 70):
            self.send(b"1")
        ((name, offered),) = self.reader.listen(TIMEOUT)
        (entry,) = self.reader.accept(name, offered)
        self.assertLess(entry.left, 0)

    def test_rings_that_come_along_are_heard(self):
        self.reader.take(["normal"], 1, wait=True)
        self.wait()
        self.send(b"1")
        self.send(b"2", queue="normal")
        self.assertEqual(self.take(), [b"1"])
        self.assertEqual(self.hear(), ([], ["normal"]))

    def test_what_is_for_another_inbox_is_heard(self):
        self.reader.take(["other!"], 1, wait=AHEAD)
        self.reader.begin_wait(("other!",))
        self.send(b"1", queue="other!")
        self.assertEqual(self.take(), [])
        self.assertEqual(self.hear(), ([b"1"], []))

    def test_after_many_rings_whoever_takes_leaves_word(self):
        names = [f"queue.{n}" for n in range(50)]
        for name in names:
            self.reader.take([name], 1, wait=True)
        for name in names:
            self.send(b"1", queue=name)
        self.take()
        heard = set()
        while len(heard) < len(names):
            rings = self.reader.listen(TIMEOUT)
            heard.update(name for name, _ in rings)

    def test_a_loop_hears_what_another_thread_found_for_another_inbox(self):
        self.reader.take(["other!"], 1, wait=AHEAD)
        self.reader.begin_wait(("other!",))
        self.send(b"1", queue="other!")
        self.assertEqual(self.take(), [])
        ear = self.reader.ear(())
        self.assertEqual(select.select([ear], [], [], 0)[0], [ear])
        self.assertEqual(self.reader.hear(), [("other!", True)])
        self.assertEqual(select.select([ear], [], [], 0)[0], [])

    def test_nobody_relies_on_a_ring_that_did_not_fit_in(self):
        while not self.counts()[1]:
            # So many are handed over that there is no room for more.
            self.wait()()
            self.wait()
            self.send(b"1")
        while self.reader.hears("in!"):
            rings = self.reader.hear()
            self.assertNotEqual(rings, [])
            for name, _ in rings:
                self.reader.accept(name, True)
        self.assertIn(("in!", None), rings)

    def test_nobody_relies_on_a_ring_of_a_process_that_was_killed(self):
        with mock.patch.object(self.writer, "_ring", return_value=False):
            self.send(b"1")
        self.assertTrue(self.reader.hears("in!"))
        self.assertEqual(self.reader.look(INBOX), ["in!"])
        self.assertFalse(self.reader.hears("in!"))

    def test_who_takes_after_a_flush_learns_of_it_first(self):
        self.reader.claim([], ["in!"])
        self.wait()
        self.send(b"1")
        self.reader.flush(b"control")
        self.assertFalse(self.reader.hears("in!"))
        self.assertEqual(self.take(), [b"1", b"control"])


class EndTests(HandingTestCase):
    """Processes that end, and files that cannot be written."""

    def test_what_a_dead_process_was_handed_is_stored(self):
        read, write = os.pipe()
        pid = fork_quietly()
        if not pid:
            try:
                store = self.make_store()
                store.renew()
                store.take(INBOX, 1, wait=AHEAD)
                os.write(write, b"." if store.begin_wait(INBOX) else b"-")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        # Otherwise the pipe has no end if the child says nothing.
        os.close(write)
        self.assertEqual(os.read(read, 1), b".")
        os.close(read)
        # It is the only one left in the line.
        self.reader.close()
        self.reader._life.end()
        self.make_store().renew()
        self.assertEqual(self.send(b"1"), [1])
        self.assertEqual(self.counts(), (1, 1, 0))
        self.assertEqual(
            self.payloads(entry for _, entry in self.writer.take(INBOX, 9)), [b"1"]
        )

    def test_what_was_handed_over_outlives_a_close(self):
        self.wait()
        self.send(b"1")
        self.reader.close()
        self.assertEqual(self.take(), [b"1"])

    def test_who_takes_as_it_is_closed_finds_what_was_handed_over(self):
        self.wait()
        self.send(b"1")
        self.send(b"2")
        bell = self.reader._bell
        with mock.patch.object(bell, "_closed", True):
            self.assertEqual(self.take(), [b"1", b"2"])

    def test_what_comes_as_it_is_closed_is_refused(self):
        bell = self.reader._bell
        late = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(late.close)
        late.connect(bell._path)
        read = bell._read

        def send_late(reads_all):
            found = read(reads_all)
            with self.assertRaises(OSError):
                late.send(b"in!")
            return found

        with mock.patch.object(bell, "_read", side_effect=send_late) as reading:
            self.reader.close()
        reading.assert_called_once_with(True)

    def test_nobody_relies_on_a_ring_for_who_was_closed_meanwhile(self):
        take = queues.take

        def take_and_close(*args):
            with mock.patch.object(self.reader._environment, "release"):
                self.reader.close()
            return take(*args)

        environment = self.reader._environment
        with mock.patch.object(queues, "take", side_effect=take_and_close):
            self.assertEqual(self.reader.take(INBOX, 1, wait=AHEAD), [])
        environment.release(self.reader)
        self.assertFalse(self.reader.hears("in!"))

    def test_a_closed_process_is_handed_nothing(self):
        self.wait()
        self.reader.close()
        self.send(b"1")
        self.assertEqual(self.counts(), (1, 1, 0))
        self.assertEqual(self.take(), [b"1"])

    def test_on_a_full_disk_nobody_is_handed_anything(self):
        with mock.patch.object(handing.os, "pwrite", side_effect=OSError(28, "full")):
            self.assertIsNone(self.reader.begin_wait(INBOX))
        self.send(b"1")
        self.assertEqual(self.hear(), ([], ["in!"]))

    def test_two_processes_with_one_place_in_the_file_lose_nothing(self):
        with mock.patch.object(handing, "WORDS", 1):
            handing._find.cache_clear()
            self.addCleanup(handing._find.cache_clear)
            self.writer.take(["other!"], 1, wait=AHEAD)
            self.wait()
            self.writer.begin_wait(("other!",))
            self.send(b"1")
        self.assertEqual(self.counts(), (1, 1, 0))
        self.assertEqual(self.hear(), ([], ["in!"]))

    def test_a_step_that_begins_again_hands_nothing_over_twice(self):
        self.wait()
        environment = self.writer._environment
        attempt, lmdb = environment._attempt, environment._lmdb
        failures = [lmdb.MapResizedError("once")]

        def fail_once(body, *args):
            def run(txn):
                result = body(txn)
                if failures:
                    raise failures.pop()
                return result

            return attempt(run, *args)

        with mock.patch.object(environment, "_attempt", fail_once):
            self.send(b"1")
        self.assertEqual(self.counts()[0], 1)
        found, names = self.hear()
        self.assertEqual(found + (self.take() if names else []), [b"1"])

    def test_a_forked_child_has_nothing_of_it(self):
        self.wait()
        self.send(b"1")
        pid = fork_quietly()
        if not pid:
            code = 1
            try:
                self.reader.leave()
                self.reader.renew()
                code = len(self.reader.take(INBOX, 9))
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.hear()[0], [b"1"])


class LayerTests(IPCTests, SimpleTestCase):
    """The same with layers, whose receives say themselves that they wait."""

    def setUp(self):
        super().setUp()
        self.layer, self.other = self.make_layer(), self.make_layer()
        self.name = self.layer.new_channel("in!")
        # From here on the store knows whose the inbox is.
        self.other.send(self.name, {"n": 0})
        self.assertEqual(self.layer.receive(["in!"])[1], {"n": 0})

    def make_layer(self):
        layer = IPCChannelLayer(self.path, capacity=3)
        self.addCleanup(layer.close)
        return layer

    def until_it_waits(self):
        """Return when a receive has said so, or fail."""
        waiting = threading.Event()
        begin = handing.Expectations.begin

        def note(*args):
            try:
                return begin(*args)
            finally:
                waiting.set()

        patcher = mock.patch.object(handing.Expectations, "begin", note)
        patcher.start()
        self.addCleanup(patcher.stop)
        return waiting

    def count_handed(self):
        """Count the messages that are handed over; return the mock that does."""
        patcher = mock.patch.object(handing, "pack", wraps=handing.pack)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def test_a_thread_is_handed_what_comes(self):
        waiting, handed = self.until_it_waits(), self.count_handed()
        found = []

        def receive():
            found.append(self.layer.receive(["in!"], True, TIMEOUT))

        for n in (1, 2):
            waiting.clear()
            thread = threading.Thread(target=receive)
            thread.start()
            self.assertTrue(waiting.wait(TIMEOUT))
            self.other.send(self.name, {"n": n})
            thread.join(TIMEOUT)
            self.assertEqual(found.pop(), (self.name, {"n": n}))
            self.assertEqual(handed.call_count, n)
        statistics = self.other.statistics(self.name)
        self.assertEqual(statistics["messages_count"], 3)
        self.assertEqual(statistics["delivered_count"], 3)

    def test_a_task_is_handed_what_comes(self):
        waiting, handed = self.until_it_waits(), self.count_handed()

        async def main():
            for n in (1, 2):
                waiting.clear()
                task = asyncio.create_task(self.layer.areceive(["in!"], True, TIMEOUT))
                self.assertTrue(await asyncio.to_thread(waiting.wait, TIMEOUT))
                await self.other.asend(self.name, {"n": n})
                self.assertEqual(await task, (self.name, {"n": n}))
                self.assertEqual(handed.call_count, n)

        asyncio.run(main())

    def test_what_is_heard_as_a_thread_gets_in_line_does_not_wait(self):
        bell, store = self.layer._owner.bell, self.layer._store
        self.assertEqual(self.layer.receive(["in!"], True, 0.01), (None, None))
        self.assertTrue(store.hears("in!"))
        enlist = bell.enlist

        def hear_before(*args):
            if store.hears("in!"):
                self.other.send(self.name, {"n": 1})
                bell._dispatch(store.listen(TIMEOUT))
            enlist(*args)

        with mock.patch.object(bell, "enlist", hear_before):
            with mock.patch.object(bell, "sleep", side_effect=AssertionError):
                found = self.layer.receive(["in!"], True, TIMEOUT)
        self.assertEqual(found, (self.name, {"n": 1}))

    def test_what_is_put_back_by_a_cancelled_task_is_not_overtaken(self):
        store, courier = self.layer._store, self.layer._owner.courier
        taken, goes_on = threading.Event(), threading.Event()
        take, waiting = self.layer._reader.take, self.until_it_waits()

        def take_slowly(*args):
            pairs = take(*args)
            taken.set()
            goes_on.wait(TIMEOUT)
            return pairs

        async def main():
            with mock.patch.object(self.layer._reader, "take", take_slowly):
                task = asyncio.create_task(self.layer.areceive(["in!"]))
                self.assertTrue(await asyncio.to_thread(taken.wait, TIMEOUT))
            task.cancel()
            await asyncio.wait([task])
            store.take(INBOX, 1, wait=AHEAD)
            task = asyncio.create_task(self.layer.areceive(["in!"], True, TIMEOUT))
            while not (waiting.is_set() or courier._calls):
                await asyncio.sleep(0)
            self.other.send(self.name, {"n": 2})
            while waiting.is_set() and not task.done():
                await asyncio.sleep(0)
            goes_on.set()
            self.assertEqual(await task, (self.name, {"n": 1}))

        self.other.send(self.name, {"n": 1})
        asyncio.run(main())
        self.assertEqual(self.layer.receive(["in!"]), (self.name, {"n": 2}))

    def test_capacity_is_exact_once_nobody_waits(self):
        handed = self.count_handed()

        async def cancel():
            task = asyncio.create_task(self.layer.areceive(["in!"], True, TIMEOUT))
            self.assertTrue(await asyncio.to_thread(waiting.wait, TIMEOUT))
            task.cancel()
            await asyncio.wait([task])

        self.assertEqual(self.layer.receive(["in!"], True, 0.01), (None, None))
        self.fill()
        waiting = self.until_it_waits()
        asyncio.run(cancel())
        self.fill()
        handed.assert_not_called()

    def fill(self):
        """Fill the inbox to its capacity, and empty it."""
        for n in range(3):
            self.other.send(self.name, {"n": n})
        with self.assertRaises(ChannelFull):
            self.other.send(self.name, {"n": 3})
        pairs = self.layer.receive_batch(["in!"], 9)
        self.assertEqual([message["n"] for _, message in pairs], [0, 1, 2])

    def test_a_name_that_was_closed_gets_nothing(self):
        waiting = self.until_it_waits()
        open_name = self.layer.new_channel("in!")
        self.layer.close_channel(self.name)
        found = []
        thread = threading.Thread(
            target=lambda: found.append(self.layer.receive(["in!"], True, TIMEOUT))
        )
        thread.start()
        self.assertTrue(waiting.wait(TIMEOUT))
        self.other.send(self.name, {"n": 1})
        self.other.send(open_name, {"n": 2})
        thread.join(TIMEOUT)
        self.assertEqual(found, [(open_name, {"n": 2})])
