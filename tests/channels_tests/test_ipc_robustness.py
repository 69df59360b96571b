"""The ipc layer's store outlives what happens to its processes and its files."""

import gc
import os
import random
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from django.channels.backends.lmdb_store import bells, files, place
from django.channels.backends.lmdb_store.transaction import Transaction
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .ipc_children import MEGABYTE, ForkingTests
from .utils import TIMEOUT

# How many processes the longest test kills.
KILLS = 30


class KillTests(ForkingTests, SimpleTestCase):
    def test_killed_writers_and_readers_lose_and_repeat_nothing_of_others(self):
        """
        Each writer's messages are there, in order, up to where it was killed. What
        killed readers took is gone and counted as delivered.
        """
        store = self.open()
        self.send(store, "echo?x", b"")
        chance = random.Random(KILLS)

        def write(store, say):
            for n in range(10**6):
                self.send(store, "written?x", b"%d %d" % (os.getpid(), n))
                if n == 0:
                    say()

        def exchange(store, say):
            say()
            while True:
                self.send(store, "echo?x", *self.take(store, "echo?x", 1), b"")

        received = []
        for n in range(KILLS):
            child = self.start((write, exchange)[n % 2])
            child.hear()
            for _ in range(chance.randrange(1, 200)):
                self.take(store, "echo?x", 2)
                received += self.take(store, "written?x", 3)
            child.kill()
            self.assertSound(store, "echo?x")
            received += self.take(store, "written?x")
        by_writer = {}
        for payload in received:
            writer, number = map(int, payload.split())
            by_writer.setdefault(writer, []).append(number)
        for numbers in by_writer.values():
            self.assertEqual(numbers, list(range(len(numbers))))
        self.assertEqual(len(by_writer), KILLS // 2)
        statistics = self.assertSound(store, "written?x")
        self.assertEqual(statistics["delivered_count"], len(received))
        while len(store._run(lambda step: list(step.scan(b"p")))) > 1:
            self.assertIs(store.renew(), True)
        self.assertEqual(len(self.files(place.LIFE_SUFFIX)), 1)
        self.assertEqual(len(self.files(place.BELL_SUFFIX)), 1)

    def test_a_process_that_is_killed_in_a_transaction_does_not_keep_the_lock(self):
        store = self.open()
        self.send(store, "a", b"1")

        def hold(store, say):
            def body(step):
                step.delete(step.find("a").key)
                step.queue("b")
                say()
                signal.pause()

            store._run(body)

        child = self.start(hold)
        child.hear()
        child.kill()
        self.send(store, "a", b"2")
        self.assertEqual(self.take(store, "a"), [b"1", b"2"])
        self.assertEqual(store.statistics("b")["messages_count"], 0)

    def test_a_process_that_is_killed_in_the_door_does_not_keep_it_closed(self):
        def stay(store, say):
            with place.door(self.path):
                say()
                signal.pause()

        store = self.open()
        child = self.start(stay)
        child.hear()
        child.kill()
        store.close()
        self.assertIs(store.renew(), True)

    def test_a_process_that_is_killed_as_it_opens_leaves_no_reader(self):
        """A reader of LMDB keeps all that is deleted later from being used again."""
        store = self.open()

        def read(store, say):
            reading = store._environment._env.begin()
            reading.get(b"a")
            say()
            signal.pause()

        child = self.start(read)
        child.hear()

        def readers():
            lines = store._environment._env.readers().splitlines()
            return {line.split()[0] for line in lines}

        self.assertIn(str(child.pid), readers())
        store.renew()
        self.assertIn(str(child.pid), readers())
        child.kill()
        store.renew()
        self.assertNotIn(str(child.pid), readers())

    def test_the_ring_of_a_killed_process_is_for_the_next_one(self):
        a, b = self.open(), self.open()

        def wait(store, say):
            store.take(["normal"], 1, wait=True)
            say()
            signal.pause()

        child = self.start(wait)
        child.hear()
        b.take(["normal"], 1, wait=True)
        child.kill()
        self.send(a, "normal", b"1")
        self.assertEqual(b.listen(TIMEOUT), [("normal", None)])

    def test_a_killed_process_falls_out_of_its_groups(self):
        store = self.open()

        def claim(store, say):
            store.claim([("group", "inbox!", 100, 1)], ["inbox!"])
            say()
            signal.pause()

        child = self.start(claim)
        child.hear()
        self.assertEqual(store.groups(), {"group": (1, 0)})
        child.kill()
        self.assertIs(store.renew(), True)
        store.send_group("group", b"1")
        self.assertEqual(store.groups(), {})
        self.assertEqual(self.take(store, "inbox!"), [])

    def test_a_stopped_process_does_not_lose_its_inbox(self):
        store = self.open()

        def claim(store, say):
            store.claim([("group", "inbox!", 100, 1)], ["inbox!"])
            say()
            os.kill(os.getpid(), signal.SIGSTOP)
            say(repr(store.renew()))

        child = self.start(claim)
        child.hear()
        os.waitpid(child.pid, os.WUNTRACED)
        store.renew()
        store.send_group("group", b"1")
        self.assertEqual(self.take(store, "inbox!"), [b"1"])
        os.kill(child.pid, signal.SIGCONT)
        self.assertEqual(child.hear(), "True")
        self.assertEqual(child.wait(), 0)

    def test_a_fork_lives_on_when_its_parent_is_killed(self):
        """A child does not keep the lock by which its parent is seen to live."""
        store = self.open()

        def fork(store, say):
            store.claim([("group", "inbox!", 100, 1)], ["inbox!"])
            if os.fork() == 0:
                store.leave()
                say(str(os.getpid()))
                signal.pause()
            signal.pause()

        child = self.start(fork)
        grandchild = int(child.hear())
        self.addCleanup(os.kill, grandchild, signal.SIGKILL)
        child.kill()
        store.renew()
        self.assertEqual(store.groups(), {})

    def test_a_fork_leaves_its_parents_transactions_alone(self):
        store = self.open()
        self.send(store, "a", b"1")

        def use(store, say):
            say(repr(self.take(store, "a")))

        children = [self.start(use) for _ in range(2)]
        said = sorted(child.hear() for child in children)
        self.assertEqual(said, [repr([]), repr([b"1"])])
        self.assertEqual([child.wait() for child in children], [0, 0])
        self.send(store, "a", b"2")
        self.assertEqual(self.take(store, "a"), [b"2"])


class FileTests(ForkingTests, SimpleTestCase):
    def data_file(self):
        (file,) = self.files(files.DATA_FILE)
        return file

    @contextmanager
    def assertReplaced(self):
        with self.assertLogs("django.channels", "WARNING") as logs:
            yield
        (line,) = [line for line in logs.output if self.path in line]
        self.assertIn("replaced by an empty one", line)

    def test_a_file_that_is_none_is_replaced(self):
        store = self.open()
        chance = random.Random(1)
        for content in (
            b"\0" * 10_000,
            b"x" * 17,
            chance.randbytes(100_000),
            b"\x80\x04pickle",
        ):
            with self.subTest(content=content[:20]):
                self.send(store, "a", b"1")
                store.close()
                self.data_file().write_bytes(content)
                with self.assertReplaced():
                    self.assertIs(store.renew(), False)
                self.assertEqual(self.take(store, "a"), [])
                self.send(store, "a", b"2")
                self.assertEqual(self.take(store, "a"), [b"2"])

    def test_an_empty_file_is_a_new_one(self):
        store = self.open()
        store.close()
        self.data_file().write_bytes(b"")
        self.assertIs(store.renew(), False)
        self.send(store, "a", b"1")
        self.assertEqual(self.take(store, "a"), [b"1"])

    def test_a_truncated_file_is_replaced(self):
        store = self.open()
        for kept in (1, 2, 3, 10):
            with self.subTest(pages=kept):
                self.send(store, "a", *[b"x" * 1000] * 100)
                store.close()
                os.truncate(self.data_file(), kept * 4096)
                with self.assertReplaced():
                    self.take(store, "a")
                    store.statistics()
                self.send(store, "a", b"2")
                self.assertEqual(self.take(store, "a"), [b"2"])

    def test_records_of_another_shape_are_replaced(self):
        store = self.open()
        for value in (b"", b"x", b"x" * 10_000):
            with self.subTest(value=value[:5]):
                self.send(store, "a", b"1")
                store._run(lambda step: step.puts.append((b"qb\0", value)))
                with self.assertReplaced():
                    self.send(store, "b", b"2")
                self.assertEqual(store.look(["a", "b"]), ["b"])

    def test_a_store_that_is_deleted_is_begun_anew(self):
        a, b = self.open(), self.open()
        self.send(a, "a", b"1")
        before = a.incarnation
        shutil.rmtree(self.path)
        self.assertIs(a.renew(), False)
        self.assertIs(b.renew(), False)
        self.assertNotEqual(a.incarnation, before)
        self.send(a, "a", b"2")
        self.assertEqual(self.take(b, "a"), [b"2"])
        self.assertIs(a.renew(), True)
        self.assertIs(b.renew(), True)

    def test_a_process_whose_files_are_deleted_takes_another_name(self):
        store = self.open()
        before = store.incarnation
        for file in self.files(place.LIFE_SUFFIX):
            file.unlink()
        self.assertIs(store.renew(), False)
        self.assertNotEqual(store.incarnation, before)
        self.assertIs(store.renew(), True)

    def test_another_version_has_a_file_of_its_own(self):
        store = self.open()
        self.send(store, "a", b"1")

        def work(store, say):
            say(repr(self.take(store, "a")))

        with mock.patch.object(files, "FORMAT_VERSION", 2):
            child = self.start(work)
        self.assertEqual(child.hear(), "[]")
        self.assertEqual(child.wait(), 0)
        self.assertIs(store.renew(), True)
        self.assertEqual(self.take(store, "a"), [b"1"])

    def test_what_is_from_before_a_boot_is_deleted(self):
        store = self.open()
        self.send(store, "a", b"1")
        old = self.data_file()
        store.close()
        with mock.patch.object(files, "boot_id", lambda: "another"):
            self.assertEqual(self.take(store, "a"), [])
            self.assertFalse(old.exists())

    def test_without_a_boot_id_the_first_process_empties_the_store(self):
        with mock.patch.object(files, "boot_id", lambda: ""):
            a, b = self.open(), self.open()
            self.send(a, "a", b"1")
            self.assertEqual(self.take(b, "a"), [b"1"])
            self.send(a, "a", b"1")
            for store in (a, b):
                store.close()
                store._life.end()
            self.assertIs(a.renew(), False)
            self.assertEqual(self.take(a, "a"), [])

    def test_a_directory_of_somebody_else_is_refused(self):
        store = self.make_store()
        with mock.patch.object(place.os, "geteuid", lambda: os.getuid() + 1):
            with self.assertRaisesMessage(LayerUnavailable, "belongs to the user with"):
                store.renew()
        os.chmod(self.path, 0o777)
        with self.assertRaisesMessage(LayerUnavailable, "Others may write into"):
            store.renew()
        path = os.path.join(self.path, "link")
        os.symlink(self.path, path)
        with self.assertRaisesMessage(LayerUnavailable, "is not a directory"):
            self.make_store(path=path).renew()
        os.chmod(self.path, 0o700)
        self.assertIs(store.renew(), True)

    def test_its_files_are_for_one_user(self):
        store = self.make_store(path=os.path.join(self.path, "new"))
        store.renew()
        for entry in Path(self.path, "new").rglob("*"):
            if not entry.is_socket():
                self.assertEqual(entry.stat().st_mode & 0o077, 0, entry)

    def test_a_long_path_has_bells_too(self):
        path = os.path.join(self.path, "x" * 100)
        a, b = self.make_store(path=path), self.make_store(path=path)
        b.take(["a"], 1, wait=True)
        self.send(a, "a", b"1")
        self.assertEqual(b.listen(TIMEOUT), [("a", None)])


class SharingTests(ForkingTests, SimpleTestCase):
    def test_stores_of_one_process_share_the_file_until_the_last_is_closed(self):
        a, b = self.open(), self.open(size=2 * MEGABYTE)
        self.send(a, "a", b"1")
        a.close()
        self.assertEqual(self.take(b, "a"), [b"1"])
        b.close()
        self.send(a, "a", b"2")
        self.assertEqual(self.take(b, "a"), [b"2"])

    def test_a_closed_store_that_is_gone_is_a_dead_process(self):
        a = self.open()
        # Not by make_store(): the test would keep it.
        b = type(a)(self.path, MEGABYTE, 60)
        b.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        b.close()
        a.renew()
        self.assertEqual(a.groups(), {"group": (1, 0)})
        del b
        gc.collect()
        a.renew()
        self.assertEqual(a.groups(), {})
        self.assertEqual(len(self.files(place.LIFE_SUFFIX)), 1)

    def test_stores_on_two_paths_share_nothing(self):
        a = self.open()
        b = self.open(path=os.path.join(self.path, "other"))
        self.send(a, "a", b"1")
        self.assertEqual(self.take(b, "a"), [])

    def test_a_call_within_a_call_of_the_same_thread_is_carried_out_once(self):
        """As of a signal handler, or of a finalizer, which come at any point."""
        store = self.open()
        for name in ("finish", "__init__"):
            original = getattr(Transaction, name)
            calls = []

            def interrupted(step, *args):
                calls.append(step)
                if len(calls) == 1:
                    self.send(store, "inner", b"1")
                return original(step, *args)

            with mock.patch.object(Transaction, name, interrupted):
                self.send(store, "outer", b"2")
            self.assertEqual(self.take(store, "inner"), [b"1"])
            self.assertEqual(self.take(store, "outer"), [b"2"])

    def test_threads_take_turns_faster_in_a_step_and_as_before_after_it(self):
        """A thread that computes keeps all other processes waiting no longer."""
        usual = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, usual)
        a, b = self.open(), self.open(path=os.path.join(self.path, "other"))
        for interval in (0.002, 0.00001, usual):
            sys.setswitchinterval(interval)
            found = []

            def look(step):
                found.append(sys.getswitchinterval())
                if len(found) == 1:
                    b._run(look)

            a._run(look)
            self.assertEqual(len(found), 2)
            self.assertLess(found[0], 0.001)
            self.assertAlmostEqual(sys.getswitchinterval(), interval)

    def test_an_error_in_a_step_leaves_nothing(self):
        store = self.open()
        with mock.patch.object(Transaction, "wake", side_effect=KeyboardInterrupt):
            with self.assertRaisesMessage(KeyboardInterrupt, ""):
                self.send(store, "a", b"1")
        self.assertEqual(store.statistics("a")["messages_count"], 0)
        self.send(store, "a", b"2")
        self.assertEqual(self.take(store, "a"), [b"2"])

    def test_more_rings_than_a_socket_holds_are_all_heard(self):
        a, b = self.open(), self.open()
        names = [f"queue.{n}" for n in range(10 * bells.BACKLOG)]
        for name in names:
            b.take([name], 1, wait=True)
        for name in names:
            self.send(a, name, b"1")
        heard = set()
        while len(heard) < len(names):
            rings = b.listen(TIMEOUT)
            self.assertTrue(rings)
            heard.update(name for name, _ in rings)

    def test_many_queues_ring_at_once(self):
        a, b = self.open(), self.open()
        names = [f"{'queue' * 15}.{n}" for n in range(1000)]
        b.take(names, 1, wait=True)
        a.append([(name, 1, [b"1"]) for name in names])
        heard = set()
        while rings := b.listen(0.01):
            heard.update(name for name, _ in rings)
        self.assertEqual(heard, set(names))
