"""The contract of stores, as tests; see django/channels/backends/shared/store.py."""

import itertools
import threading
import time

from django.test.layer_conformance.base import EXPIRY, in_time

from .utils import TIMEOUT


class Stores:
    """
    For a SimpleTestCase whose make_store() returns another process's store.

    All stores of one test are on the same place, which is empty at its begin.
    """

    def make_store(self, expiry=60):
        """Return a new store, on the place of this test."""
        raise NotImplementedError

    def stores(self, count=2, **options):
        """Return stores of as many processes, each with a lease."""
        stores = [self.make_store(**options) for _ in range(count)]
        for store in stores:
            self.addCleanup(store.close)
            self.assertIs(store.renew(), True)
        return stores

    def take(self, store, *names, limit=100, wait=False):
        """Return the payloads that are taken."""
        return [e.payload for _, e in store.take(list(names), limit, wait)]


class StoreTests(Stores):
    """What every store does. See Stores."""

    def pass_time(self, store, seconds):
        """Return when ``seconds`` are over for what the store holds."""
        store.listen(seconds)

    def in_time(self, store, action):
        """Return what ``action()`` returns, called before anything can expire."""
        return in_time(action, lambda: self.pass_time(store, EXPIRY))

    def send(self, store, queue, *payloads, capacity=100):
        return store.append([(queue, capacity, list(payloads))])[0]

    def rung(self, *stores):
        """Return the first of these stores to be rung, and the other ones."""
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            for store in stores:
                if store.listen(0.05):
                    return store, *(other for other in stores if other is not store)
        self.fail("None was rung in time.")

    def listen(self, store, inboxes=()):
        """Return the names of the queues that ring next."""
        return [name for name, _ in store.listen(TIMEOUT, frozenset(inboxes))]

    def assertQuiet(self, store):
        self.assertEqual(store.listen(0.01), [])

    def assertCounts(self, store, queue, **expected):
        statistics = store.statistics(queue)
        found = {key: statistics[key] for key in expected}
        self.assertEqual(found, expected)
        keys = ("delivered_count", "dropped_count", "expired_count")
        total = sum(statistics[key] for key in keys) + statistics["messages_pending"]
        self.assertEqual(statistics["messages_count"], total)

    # Queues.

    def test_entries_come_out_in_their_order(self):
        a, b = self.stores()
        for queue in ("normal", "single?x", "inbox!"):
            with self.subTest(queue=queue):
                payloads = [b"%d" % n for n in range(30)]
                for n in range(0, 30, 3):
                    self.assertEqual(self.send(a, queue, *payloads[n : n + 3]), 3)
                taken = []
                while entries := self.take(b, queue, limit=4):
                    taken += entries
                self.assertEqual(taken, payloads)
                self.assertEqual(self.take(b, queue), [])

    def test_every_byte_comes_out_as_it_was(self):
        a, b = self.stores()
        payloads = [bytes(range(256)), b"", b"\r\n", b"x" * 300_000]
        for queue in ("normal", "inbox!"):
            self.send(a, queue, *payloads)
            self.assertEqual(self.take(b, queue), payloads)

    def test_a_batch_for_several_queues(self):
        (a,) = self.stores(1)
        batches = [("a", 9, [b"1", b"2"]), ("b!", 1, [b"3", b"4"]), ("c?d", 9, [b"5"])]
        self.assertEqual(a.append(batches), [2, 1, 1])
        taken = a.take(["a", "b!", "c?d"], 100)
        pairs = [(name, entry.payload) for name, entry in taken]
        self.assertEqual(pairs, [("a", b"1"), ("a", b"2"), ("b!", b"3"), ("c?d", b"5")])

    def test_a_full_queue_stores_what_fits(self):
        a, b = self.stores()
        for queue in ("normal", "single?x", "inbox!"):
            with self.subTest(queue=queue):
                self.assertEqual(self.send(a, queue, *[b"x"] * 5, capacity=3), 3)
                self.assertEqual(self.send(b, queue, b"x", capacity=3), 0)
                self.assertCounts(
                    b, queue, messages_count=3, channel_full_count=3, messages_pending=3
                )
                self.assertEqual(len(self.take(b, queue)), 3)
                self.assertEqual(self.send(a, queue, *[b"y"] * 4, capacity=3), 3)

    def test_an_entry_is_taken_once(self):
        stores = self.stores(4)
        self.send(stores[0], "normal", *[b"%d" % n for n in range(200)], capacity=999)
        taken = []

        def work(store):
            while entries := self.take(store, "normal", limit=3):
                taken.extend(entries)

        threads = [threading.Thread(target=work, args=(s,)) for s in stores * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(sorted(map(int, taken)), list(range(200)))

    def test_expired_entries_are_gone_and_make_room(self):
        a, b = self.stores(expiry=EXPIRY)
        for queue in ("normal", "inbox!"):
            self.assertEqual(self.send(a, queue, b"1", b"2", capacity=2), 2)
        self.pass_time(a, EXPIRY)
        for queue in ("normal", "inbox!"):
            with self.subTest(queue=queue):
                taken = []

                def send_and_take():
                    self.assertEqual(self.send(a, queue, b"3", capacity=2), 1)
                    taken.append(self.take(b, queue))
                    return taken[-1]

                self.assertEqual(self.in_time(a, send_and_take), [b"3"])
                sent, delivered = 2 + len(taken), taken.count([b"3"])
                self.assertCounts(
                    a,
                    queue,
                    messages_count=sent,
                    expired_count=sent - delivered,
                    delivered_count=delivered,
                )

    def test_an_entry_says_how_long_it_lives(self):
        a, b = self.stores()
        for queue in ("normal", "inbox!"):
            self.send(a, queue, b"1")
            ((_, entry),) = b.take([queue], 1)
            self.assertGreater(entry.left, 30)
            self.assertLessEqual(entry.left, 60)
            self.assertEqual((entry.mark, entry.group), (0, None))

    def test_what_is_given_back_comes_first(self):
        a, b = self.stores()
        self.send(a, "normal", b"1", b"2", b"3")
        taken = b.take(["normal"], 2)
        b.give_back([(name, e.payload, e.left) for name, e in taken])
        self.assertEqual(self.take(a, "normal"), [b"1", b"2", b"3"])
        a.give_back([("normal", b"3", None)])
        self.assertCounts(a, "normal", messages_count=3, messages_pending=1)
        self.assertEqual(self.take(b, "normal"), [b"3"])

    def test_a_single_reader_channel_is_dropped(self):
        a, b = self.stores()
        self.send(a, "single?x", b"1", b"2")
        a.add("group", "single?x", 100, 60)
        b.drop("single?x")
        a.send_group("group", b"3")
        self.assertEqual(self.take(a, "single?x"), [])
        self.assertCounts(a, "single?x", messages_count=2, dropped_count=2)

    def test_counters_are_corrected(self):
        a, b = self.stores()
        self.send(a, "inbox!", b"1")
        self.take(b, "inbox!")
        b.count(
            {"inbox!": {"messages_count": 4, "delivered_count": 3, "dropped_count": 1}}
        )
        self.assertCounts(
            a, "inbox!", messages_count=5, delivered_count=4, dropped_count=1
        )

    # Rings.

    def test_a_waiting_process_is_rung_once(self):
        a, b = self.stores()
        self.assertEqual(self.take(b, "normal", wait=True), [])
        self.send(a, "other", b"0")
        self.assertQuiet(b)
        self.send(a, "normal", b"1")
        self.assertEqual(self.listen(b), ["normal"])
        self.send(a, "normal", b"2")
        self.assertQuiet(b)
        self.assertEqual(self.take(b, "normal"), [b"1", b"2"])

    def test_a_waiting_process_hears_of_its_inbox(self):
        a, b = self.stores()
        b.claim([], ["inbox!"])
        self.assertEqual(self.take(b, "inbox!", wait=True), [])
        self.send(a, "inbox!", b"1", b"2")
        ((name, offered),) = b.listen(TIMEOUT, frozenset(["inbox!"]))
        self.assertEqual(name, "inbox!")
        if offered is None:
            taken = self.take(b, "inbox!")
        else:
            taken = [entry.payload for entry in b.accept("inbox!", offered)]
        self.assertEqual(taken, [b"1", b"2"])
        self.assertEqual(self.take(b, "inbox!"), [])
        self.assertCounts(a, "inbox!", messages_count=2, delivered_count=2)

    def test_what_was_offered_is_taken_once(self):
        a, b = self.stores()
        b.claim([], ["inbox!"])
        self.take(b, "inbox!", wait=True)
        self.send(a, "inbox!", b"1")
        ((_, offered),) = b.listen(TIMEOUT, frozenset(["inbox!"]))
        self.assertEqual(self.take(b, "inbox!"), [b"1"])
        if offered is not None:
            self.assertEqual(list(b.accept("inbox!", offered)), [])
        self.assertCounts(a, "inbox!", messages_count=1, delivered_count=1)

    def test_each_entry_rings_one_process(self):
        a, b, c = self.stores(3)
        for store in (b, c):
            self.take(store, "normal", wait=True)
        self.send(a, "normal", b"1")
        first, second = self.rung(b, c)
        self.assertEqual([first.listen(0.01), second.listen(0.05)], [[], []])
        self.send(a, "normal", b"2", b"3")
        self.assertEqual(self.listen(second), ["normal"])

    def test_a_ring_is_passed_on(self):
        a, b, c = self.stores(3)
        for store in (b, c):
            self.take(store, "normal", wait=True)
        self.send(a, "normal", b"1")
        first, second = self.rung(b, c)
        first.pass_on("normal")
        self.assertEqual(self.listen(second), ["normal"])

    def test_what_is_left_rings_another_process(self):
        a, b, c = self.stores(3)
        self.take(b, "normal", wait=True)
        self.take(c, "normal", wait=True)
        self.send(a, "normal", b"1")
        first, second = self.rung(b, c)
        self.send(a, "extra", b"0")
        a.give_back([("normal", b"0", 30)])
        self.take(first, "normal", limit=1)
        self.assertEqual(self.listen(second), ["normal"])

    def test_listening_is_interrupted(self):
        (a,) = self.stores(1)
        a.interrupt()
        self.assertEqual(a.listen(TIMEOUT), [])
        thread = threading.Thread(target=a.listen, args=(TIMEOUT,))
        thread.start()
        a.interrupt()
        thread.join(TIMEOUT)
        self.assertFalse(thread.is_alive())

    def test_looking_finds_where_entries_wait(self):
        a, b = self.stores()
        self.send(a, "x", b"1")
        self.send(a, "y!", b"1")
        self.assertEqual(sorted(b.look(["x", "y!", "z"])), ["x", "y!"])
        self.take(b, "x", "y!")
        self.assertEqual(b.look(["x", "y!", "z"]), [])

    # Groups.

    def test_a_registered_inbox_gets_control_and_messages_in_order(self):
        a, b = self.stores()
        b.claim([], ["inbox!"])
        self.assertEqual(a.register("group", "inbox!", 100, b"add"), 1)
        a.send_group("group", b"1")
        self.assertEqual(a.register("group", "inbox!", 100, b"add"), 2)
        entries = [entry for _, entry in b.take(["inbox!"], 100)]
        self.assertEqual([e.payload for e in entries], [b"add", b"1", b"add"])
        self.assertEqual([e.mark for e in entries], [1, 0, 2])
        self.assertIsNone(entries[0].left)

    def test_a_control_entry_takes_no_room_and_does_not_expire(self):
        a, b = self.stores(expiry=EXPIRY)

        def fill():
            return [self.send(a, "inbox!", each, capacity=1) for each in (b"1", b"2")]

        self.assertEqual(self.in_time(a, fill), [1, 0])
        a.register("group", "inbox!", 1, b"add")
        self.pass_time(a, EXPIRY)
        self.assertEqual(self.in_time(a, fill), [1, 0])
        self.pass_time(a, EXPIRY)
        taken = []

        def send_and_take():
            self.assertEqual(self.send(a, "inbox!", b"3", capacity=1), 1)
            taken.extend(self.take(b, "inbox!"))

        self.in_time(a, send_and_take)
        self.assertEqual(taken[:1] + taken[-1:], [b"add", b"3"])
        self.assertEqual(taken.count(b"add"), 1)

    def test_a_post_needs_no_registration(self):
        a, b = self.stores()
        a.post("group", "inbox!", b"1")
        a.register("group", "inbox!", 100, b"add")
        a.post("group", "inbox!", b"2")
        self.assertTrue(a.deregister("group", "inbox!", 1))
        a.post("group", "inbox!", b"3")
        entries = [entry for _, entry in b.take(["inbox!"], 100)]
        self.assertEqual([e.payload for e in entries], [b"1", b"add", b"2", b"3"])
        self.assertEqual([e.mark for e in entries], [0, 1, 1, 0])

    def test_a_registration_ends_with_its_add_count(self):
        a, b = self.stores()
        for _ in range(2):
            a.register("group", "inbox!", 100, b"add")
        self.assertFalse(b.deregister("group", "inbox!", 1))
        a.send_group("group", b"1")
        self.assertTrue(b.deregister("group", "inbox!", 2))
        a.send_group("group", b"2")
        self.assertEqual(self.take(b, "inbox!"), [b"add", b"add", b"1"])
        self.assertEqual(a.groups(), {})

    def test_a_claim_makes_registrations(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 100, 7)], ["inbox!"])
        a.send_group("group", b"1")
        self.assertEqual(self.take(b, "inbox!"), [b"1"])
        self.assertEqual(a.register("group", "inbox!", 100, b"add"), 8)

    def test_plain_members_get_messages_until_their_time_is_over(self):
        a, b = self.stores()
        a.add("group", "normal", 100, 60)
        b.add("group", "single?x", 100, 60)

        def send():
            a.add("group", "brief", 100, EXPIRY)
            a.send_group("group", b"1")
            return self.take(b, "brief")

        self.assertEqual(self.in_time(a, send), [b"1"])
        a.remove("group", "single?x")
        self.pass_time(a, EXPIRY)
        a.send_group("group", b"2")
        single, normal = self.take(b, "single?x"), self.take(b, "normal")
        self.assertEqual(set(single), {b"1"})
        self.assertEqual(normal, [*single, b"2"])
        self.assertEqual(self.take(b, "brief"), [])

    def test_a_full_member_misses_a_message_and_its_owner_is_told(self):
        a, b = self.stores()
        a.add("group", "normal", 1, 60)
        b.claim([("group", "inbox!", 1, 1)], ["inbox!"])
        for n in range(3):
            a.send_group("group", b"%d" % n)
        self.assertEqual(self.take(b, "normal"), [b"0"])
        entries = [entry for _, entry in b.take(["inbox!"], 100)]
        self.assertEqual([e.payload for e in entries], [b"0", None])
        self.assertEqual((entries[1].group, entries[1].mark), ("group", 2))
        for queue in ("normal", "inbox!"):
            self.assertCounts(
                b,
                queue,
                messages_count=3,
                dropped_count=2,
                channel_full_count=2,
                delivered_count=1,
            )
        self.assertEqual(b.take(["inbox!"], 100), [])

    def test_a_group_message_rings(self):
        a, b = self.stores()
        a.add("group", "normal", 1, 60)
        self.take(b, "normal", wait=True)
        a.send_group("group", b"1")
        self.assertEqual(self.listen(b), ["normal"])

    # Processes.

    def test_an_inbox_of_a_dead_process_falls_out_of_its_groups(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        self.end(b)
        a.send_group("group", b"1")
        self.assertEqual(self.take(a, "inbox!"), [])
        self.assertEqual(a.groups(), {})

    def test_an_inbox_is_foreign_while_another_process_that_has_claimed_it_lives(self):
        a, b = self.stores()
        self.assertIs(a.is_foreign("inbox!"), False)
        self.send(a, "inbox!", b"1")
        self.assertIs(a.is_foreign("inbox!"), False)
        b.claim([], ["inbox!"])
        self.assertIs(a.is_foreign("inbox!"), True)
        self.assertIs(b.is_foreign("inbox!"), False)
        self.end(b)
        self.assertIs(a.is_foreign("inbox!"), False)

    def test_a_process_whose_lease_ran_out_learns_it_and_lives_again(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        before = b.incarnation
        self.end(b)
        self.assertIs(b.renew(), False)
        self.assertNotEqual(b.incarnation, before)
        b.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        a.send_group("group", b"1")
        self.assertEqual(self.take(b, "inbox!"), [b"1"])
        self.assertIs(b.renew(), True)

    def end(self, store):
        """End the lease of a store's process, as if it had been stopped too long."""
        raise NotImplementedError

    # Care.

    def test_the_sums_are_those_of_all_queues(self):
        a, b = self.stores()
        self.send(a, "normal", b"1", b"2", capacity=1)
        self.send(b, "inbox!", b"1")
        self.take(a, "inbox!")
        for store in (a, b):
            self.assertCounts(
                store,
                None,
                messages_count=2,
                channel_full_count=1,
                delivered_count=1,
                messages_pending=1,
            )
        self.assertCounts(a, "unknown", messages_count=0, messages_max_age=0)

    def test_the_rates_are_those_of_the_last_second(self):
        (a,) = self.stores(1)
        numbers = itertools.count()

        def send_and_look():
            queue = f"normal.{next(numbers)}"
            self.assertEqual(self.send(a, queue, b"1", b"2", capacity=1), 1)
            statistics = a.statistics(queue)
            return [
                statistics["messages_count_per_second"],
                statistics["channel_full_count_per_second"],
            ]

        for rate in self.in_time(a, send_and_look):
            # A second may have ended meanwhile, of which a part counts.
            self.assertGreater(rate, 0.5)
            self.assertLessEqual(rate, 1)

    def test_queues_and_groups_are_listed(self):
        a, b = self.stores()
        self.send(a, "normal", b"1")
        self.take(b, "quiet", wait=True)
        a.add("group", "normal", 100, 60)
        b.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        statistics, waiting = a.queues()["normal"]
        self.assertEqual((statistics["messages_pending"], waiting), (1, 0))
        self.assertEqual(a.queues()["quiet"][1], 1)
        self.assertEqual(a.groups(), {"group": (1, 1)})

    def test_flushing_leaves_a_control_entry_in_claimed_inboxes(self):
        a, b = self.stores()
        b.claim([], ["mine!"])
        a.register("group", "mine!", 100, b"add")
        self.send(a, "mine!", b"1")
        self.send(a, "other!", b"1")
        a.add("group", "normal", 100, 60)
        a.flush(b"flush")
        a.send_group("group", b"2")
        self.assertEqual(self.take(b, "mine!"), [b"flush"])
        self.assertEqual(self.take(b, "normal", "other!"), [])
        self.assertEqual(a.groups(), {})
        self.assertCounts(a, "mine!", messages_count=1, dropped_count=1)

    def test_a_closed_store_opens_again(self):
        a, b = self.stores()
        self.send(a, "normal", b"1")
        a.close()
        a.close()
        self.assertEqual(self.take(a, "normal"), [b"1"])

    def test_a_store_describes_itself(self):
        (a,) = self.stores(1)
        lines = a.describe()
        self.assertTrue(lines and all(isinstance(line, str) for line in lines))
