"""The store goes away, comes back, or comes back without what it held."""

import threading
import time

from django.channels.exceptions import LayerUnavailable

from .base import WAIT_SECONDS, ConformanceBase, cites
from .forms import both_forms

# How long memberships take to heal, in seconds, and what a busy machine adds; how
# often one that stands still for longer may try.
HEAL_SECONDS = 2 + 3
HEAL_TRIES = 3
SECRET = "content of a message"


class OutageTests(ConformanceBase):
    """The hooks stop_store(), start_store() and lose_data() do it."""

    @cites("CL-54", "must raise LayerUnavailable, which says why")
    @cites("CL-54", "shows no content of messages")
    @both_forms(alone=True)
    def test_every_call_says_that_the_store_is_away(self, layer):
        layer.send("a", {})
        self.stop_store(layer.layer)
        message = {"text": SECRET}
        calls = [
            ("send", "a", message),
            ("send_batch", [("a", message)]),
            ("receive", ["a"]),
            ("receive", ["in!"]),
            ("receive", ["a", "b"], True, WAIT_SECONDS),
            ("receive_batch", ["a"], 5),
            ("put_back", [("a", message)]),
            ("close_channel", "body?a"),
            ("check", True),
        ]
        if "groups" in layer.extensions:
            calls += [
                ("group_add", "group", "a"),
                ("group_discard", "group", "a"),
                ("send_group", "group", message),
                ("groups",),
            ]
        if "statistics" in layer.extensions:
            calls += [("statistics",), ("statistics", "a"), ("queues",)]
        if "flush" in layer.extensions:
            calls.append(("flush",))
        for name, *args in calls:
            with self.subTest(name=name, args=args):
                with self.assertRaisesMessage(LayerUnavailable, "") as caught:
                    getattr(layer, name)(*args)
                self.assertTrue(str(caught.exception))
                self.assertNotIn(SECRET, str(caught.exception))
        self.assertEqual(layer.check(), [])
        self.start_store(layer.layer)
        self.until_available(layer)

    @cites("CL-55", "must work again when its store is back, without being made anew")
    @cites("CL-55", "What was received before is not received again")
    @both_forms(alone=True)
    def test_a_layer_works_again_when_its_store_is_back(self, layer):
        names = (("a", "a"), ("body?b", "body?b"), ("inbox!c", "inbox!"))
        for name, key in names:
            layer.send_batch([(name, {"n": n}) for n in range(4)])
            self.assertEqual(layer.receive([key])[0], name)
        for _ in range(2):
            self.stop_store(layer.layer)
            self.start_store(layer.layer)
            self.until_available(layer)
        for name, key in names:
            with self.subTest(name=name):
                layer.send(name, {"n": 4})
                received = []
                while not received or received[-1] != 4:
                    received.append(self.receive_waiting(layer, [key])[1]["n"])
                # What waited may be lost with the store.
                self.assertIn(received, ([1, 2, 3, 4], [4]))

    @cites(
        "CL-54", "Waiting receives end with it, too, or wait until the store is back"
    )
    def test_a_wait_survives_an_outage_or_tells_it(self):
        layer = self.make_layer()
        pool = self.pool(1)
        wait = {"block": True, "timeout": WAIT_SECONDS}
        waiting = pool.submit(lambda: layer.receive(["a"], **wait))
        # Ends the wait if the test ends before.
        self.addCleanup(layer.close)
        self.until_reader(layer, "a")
        self.stop_store(layer)
        self.start_store(layer)
        self.until_available(layer)
        layer.send("a", {"n": 1})
        try:
            pair = waiting.result(WAIT_SECONDS)
        except LayerUnavailable:
            pair = layer.receive(["a"], **wait)
        self.assertEqual(pair, ("a", {"n": 1}))

    @cites("CL-56", "must heal the memberships of its inboxes within two seconds")
    @cites("CL-56", "send the signal layer_gap and tell the members of groups")
    @both_forms("groups", alone=True)
    def test_memberships_heal_when_the_store_has_lost_its_data(self, layer):
        told = threading.Event()
        layer.layer.on_gap(told.set)
        names = [layer.new_channel("inbox!") for _ in range(3)]
        for name in names:
            layer.group_add("group", name)
            layer.group_add("others", name)
        layer.group_discard("others", names[0])
        layer.send_group("group", {"n": 1})
        self.assertEqual(self.receive_all(layer, ["inbox!"]), [{"n": 1}] * 3)
        for _ in range(HEAL_TRIES):
            told.clear()
            self.lose_data(layer.layer)
            begun = time.monotonic()
            self.assertTrue(told.wait(WAIT_SECONDS))
            seconds = time.monotonic() - begun
            self.assertHealed(layer, names)
            if seconds < HEAL_SECONDS:
                break
        self.assertLess(seconds, HEAL_SECONDS)

    def assertHealed(self, layer, names):
        """Check that all members of a group, and all others but one, are told."""
        layer.send_group("group", {"n": 2})
        layer.send_group("others", {"n": 3})
        received = [self.receive_waiting(layer, ["inbox!"]) for _ in range(8)]
        expected = [(name, {"type": "layer.gap"}) for name in names]
        expected += [(name, {"n": 2}) for name in names]
        expected += [(name, {"n": 3}) for name in names[1:]]
        self.assertCountEqual(received, expected)
        self.assertEmpty(layer, "inbox!")
