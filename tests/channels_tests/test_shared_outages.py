"""The layer around a store that loses data, is away or does not ring."""

import asyncio
import threading
from unittest import mock

from django.channels.backends.shared import keeper
from django.channels.exceptions import LayerUnavailable
from django.test.channel_layers import cites

from .dict_store import DictStore
from .shared_layers import WAIT, SharedLayerTestCase
from .utils import TIMEOUT

GAP = {"type": "layer.gap"}


class GapTests(SharedLayerTestCase):
    """The store loses its data, or takes a process for dead."""

    def setUp(self):
        super().setUp()
        self.sender = self.make_layer()
        self.layer = self.make_layer()
        self.told = threading.Event()
        self.layer.on_gap(self.told.set)
        self.name = self.layer.new_channel("in!")
        self.layer.group_add("group", self.name)
        self.layer.receive(["in!"])

    def assertHealed(self):
        self.assertTrue(self.told.wait(TIMEOUT))
        self.sender.send_group("group", {"n": 1})
        received = [self.layer.receive(["in!"], **WAIT) for _ in range(2)]
        self.assertEqual(received, [(self.name, GAP), (self.name, {"n": 1})])

    def test_a_store_that_lost_its_data_gets_the_memberships_again(self):
        self.world.lose()
        self.assertHealed()

    def test_a_process_that_was_taken_for_dead_gets_its_memberships_again(self):
        with self.world.lock:
            self.world.leases.clear()
            self.sender.send_group("group", {"n": 0})
            self.assertEqual(self.world.inboxes, {"group": {}})
        self.assertHealed()

    @cites("CL-56", "without the members that left meanwhile")
    def test_who_left_a_store_that_lost_its_data_is_no_member_again(self):
        self.leave_while(self.world.lose)

    def test_who_left_a_process_that_was_taken_for_dead_is_no_member_again(self):
        self.leave_while(self.world.leases.clear)

    def leave_while(self, lose):
        other = self.layer.new_channel("in!")
        self.layer.group_add("group", other)
        self.layer.receive(["in!"])
        # Nobody heals before it has left.
        with self.world.lock:
            lose()
            self.sender.send_group("group", {"n": 0})
            self.sender.group_discard("group", other)
        self.assertTrue(self.told.wait(TIMEOUT))
        self.sender.send_group("group", {"n": 1})
        pairs = [pair for pair in self.receive_all() if pair[1] != GAP]
        self.assertEqual(pairs, [(self.name, {"n": 1})])

    def test_the_last_one_who_left_meanwhile_leaves_nothing(self):
        with self.world.lock:
            self.world.lose()
            self.sender.group_discard("group", self.name)
        self.assertTrue(self.told.wait(TIMEOUT))
        self.receive_all()
        self.assertFalse(self.world.inboxes.get("group"))

    def receive_all(self):
        """Return all that is there."""
        pairs = []
        while found := self.layer.receive_batch(["in!"], 10):
            pairs += found
        return pairs

    def test_a_claim_that_fails_is_made_again(self):
        store, claims = self.layer._store, []

        def claim(*args):
            claims.append(args)
            if len(claims) == 1:
                raise LayerUnavailable("The store is away again.")
            return DictStore.claim(store, *args)

        store.claim = claim
        with self.assertLogs("django.channels", "WARNING"):
            self.world.lose()
            self.assertHealed()
        self.assertEqual(claims[0], claims[1])

    def test_a_reader_that_waits_is_told(self):
        result = self.in_thread(self.layer.receive, ["in!"], **WAIT)
        self.until_waiting(self.layer, "in!")
        self.world.lose()
        self.assertEqual(result(), (self.name, GAP))

    def test_an_add_count_goes_on_where_it_was(self):
        for _ in range(4):
            self.layer.group_add("group", self.name)
        self.layer.receive(["in!"])
        self.world.lose()
        self.assertHealed()
        self.assertEqual(self.world.inboxes["group"]["in!"][1], 5)


class AwayTests(SharedLayerTestCase):
    """The store cannot be reached."""

    def test_every_call_says_that_the_store_is_away(self):
        layer = self.make_layer()
        self.world.away = True
        for name, args in (
            ("send", ("a", {})),
            ("send_batch", ([("a", {})],)),
            ("receive", (["a"], True, TIMEOUT)),
            ("receive", (["in!"],)),
            ("receive_batch", (["a"], 5)),
            ("put_back", ([("a", {})],)),
            ("group_add", ("group", "a")),
            ("group_discard", ("group", "a")),
            ("send_group", ("group", {})),
            ("close_channel", ("a?b",)),
            ("statistics", ()),
            ("flush", ()),
        ):
            with self.subTest(name=name):
                with self.assertRaisesMessage(LayerUnavailable, "away"):
                    getattr(layer, name)(*args)
                with self.assertRaisesMessage(LayerUnavailable, "away"):
                    asyncio.run(getattr(layer, f"a{name}")(*args))
        self.world.away = False
        layer.send("a", {})
        self.assertEqual(layer.receive(["a"], **WAIT), ("a", {}))

    def test_what_comes_behind_a_member_that_cannot_be_registered_is_received(self):
        layer = self.make_layer()
        name = layer.new_channel("in!")
        self.assertEqual(layer.receive(["in!"]), (None, None))
        layer.group_add("group", name)
        layer.send(name, {"n": 1})
        claim, joined = layer._store.claim, threading.Event()

        def claim_later(registrations, inboxes):
            if not joined.is_set():
                joined.set()
                raise LayerUnavailable("The store is away.")
            claim(registrations, inboxes)
            registered.set()

        registered = threading.Event()
        with mock.patch.object(layer._store, "claim", claim_later):
            self.assertEqual(layer.receive(["in!"]), (name, {"n": 1}))
            self.assertTrue(joined.is_set())
            # The keeper does it, once a second.
            self.assertTrue(registered.wait(TIMEOUT))
        layer.send_group("group", {"n": 2})
        self.assertEqual(layer.receive(["in!"], **WAIT), (name, {"n": 2}))

    def test_who_waits_learns_it_and_can_go_on(self):
        layer = self.make_layer()
        logged = threading.Event()
        with mock.patch.object(
            keeper.logger, "error", side_effect=lambda *args: logged.set()
        ):
            result = self.in_thread(layer.receive, ["a"], **WAIT)
            self.until_waiting(layer, "a")
            self.world.away = True
            self.assertIsInstance(result(), LayerUnavailable)
            self.assertTrue(logged.wait(TIMEOUT))
        self.world.away = False
        layer.send("a", {})
        self.assertEqual(layer.receive(["a"], **WAIT), ("a", {}))


class RingTests(SharedLayerTestCase):
    """Rings that come late, twice or never."""

    def test_a_lost_ring_is_made_up_for(self):
        a, b = self.make_layer(), self.make_layer()
        result = self.in_thread(b.receive, ["normal"], **WAIT)
        self.until_waiting(b, "normal")
        self.world.queues["normal"].waiting.clear()
        a.send("normal", {"n": 1})
        self.assertEqual(result(), ("normal", {"n": 1}))

    def test_a_ring_without_a_reader_is_passed_on(self):
        a, b, c = (self.make_layer() for _ in range(3))
        b.receive(["normal"], block=True, timeout=0.001)
        other = self.in_thread(b.receive, ["other"], **WAIT)
        self.until_waiting(b, "other")
        result = self.in_thread(c.receive, ["normal"], **WAIT)
        self.until_waiting(c, "normal")
        a.send("normal", {"n": 1})
        self.assertEqual(result(), ("normal", {"n": 1}))
        a.send("other", {})
        other()
