"""Order, fairness, batches and arguments of a receive."""

from .base import EXPIRY, WAIT_SECONDS, ConformanceBase, cites
from .forms import both_forms


class ReceivingTests(ConformanceBase):
    @cites("CL-25", "must be received in the order in which they were sent")
    @both_forms(capacity=100)
    def test_single_reader_and_process_specific_channels_keep_the_order(self, layer):
        for name, key in (("a?b", "a?b"), ("a!b", "a!")):
            for n in range(100):
                layer.send(name, {"n": n})
            received = self.receive_all(layer, [key])
            self.assertEqual([m["n"] for m in received], list(range(100)))

    @cites("CL-25", "The messages of one sender")
    @both_forms(capacity=100)
    def test_the_channels_of_an_inbox_keep_their_order_together(self, layer):
        for n in range(100):
            layer.send(f"inbox!{n % 7}", {"n": n})
        received = self.receive_all(layer, ["inbox!"])
        self.assertEqual([m["n"] for m in received], list(range(100)))

    @cites("CL-26", "A busy channel must not starve another")
    @both_forms(capacity=200)
    def test_a_quiet_channel_is_served_beside_busy_ones(self, layer):
        names = ["busy", "idle", "inbox!", "quiet", "busy.too"]
        for _ in range(100):
            layer.send_batch([("busy", {}), ("busy.too", {}), ("inbox!a", {})])
        layer.send("quiet", {"n": 1})
        taken = [layer.receive(names)[0] for _ in range(10 * len(names))]
        self.assertEqual(taken.count("quiet"), 1)
        self.assertGreater(taken.count("busy"), 2)
        self.assertGreater(taken.count("busy.too"), 2)
        self.assertGreater(taken.count("inbox!a"), 2)

    @cites("CL-26", "with its n channels, if nobody else receives")
    @both_forms(capacity=200)
    def test_a_quiet_channel_is_served_whatever_its_place_in_the_list(self, layer):
        for names in (["busy", "quiet"], ["quiet", "busy"]):
            layer.send_batch([("busy", {})] * 50)
            for _ in range(2):
                layer.send("quiet", {})
                taken = [layer.receive(names)[0] for _ in range(20)]
                self.assertIn("quiet", taken)
                # A receive in between, for another list, changes nothing.
                layer.receive(["other", "busy"])
            self.receive_all(layer, names)

    @cites("CL-27", "must return a list of at most limit pairs")
    @both_forms(capacity=10)
    def test_a_batch_has_at_most_as_many_messages_as_asked_for(self, layer):
        layer.send_batch([("a?b", {"n": n}) for n in range(10)])
        received = []
        while batch := layer.receive_batch(["a?b", "c"], 4):
            self.assertLessEqual(len(batch), 4)
            received += batch
        self.assertEqual(received, [("a?b", {"n": n}) for n in range(10)])

    @cites("CL-27", "empty only when receive() would have returned none")
    @both_forms()
    def test_a_batch_takes_from_every_channel(self, layer):
        for name in ("a", "b?c", "d!e"):
            layer.send(name, {"n": name})
        received = []
        while batch := layer.receive_batch(["a", "b?c", "d!"], 10):
            received += batch
        names = sorted(name for name, _ in received)
        self.assertEqual(names, ["a", "b?c", "d!e"])

    @cites("CL-27", "It waits as receive() does, for the first message.")
    @both_forms()
    def test_a_waiting_batch_comes_with_the_first_message(self, layer):
        layer.send("a", {"n": 1})
        wait = {"block": True, "timeout": WAIT_SECONDS}
        self.assertEqual(layer.receive_batch(["a"], 10, **wait), [("a", {"n": 1})])
        self.assertEqual(layer.receive_batch(["a"], 10, True, 0.01), [])

    @cites("CL-28", "Channels that are no list of valid names or an empty one")
    @both_forms()
    def test_channels_that_are_no_list_of_names_are_refused(self, layer):
        layer.send("a", {})
        for channels in ("a", b"a", None, 1, [], (), set(), {}, [[]], [None], [1]):
            with self.subTest(channels=channels):
                with self.assertRaisesMessage(TypeError, "channel"):
                    layer.receive(channels)
                with self.assertRaisesMessage(TypeError, "channel"):
                    layer.receive_batch(channels, 10)
        self.assertEqual(layer.receive(["a"]), ("a", {}))

    @cites("CL-28", "list of valid names")
    @both_forms()
    def test_any_iterable_of_names_will_do(self, layer):
        for channels in (("a",), {"a"}, {"a": 1}, iter(["a", "b"]), ["a", "a"]):
            layer.send("a", {})
            self.assertEqual(layer.receive(channels), ("a", {}))

    @cites("CL-28", "a timeout without block, and a timeout or limit")
    @both_forms()
    def test_a_timeout_or_limit_out_of_range_is_refused(self, layer):
        layer.send("a", {})
        with self.assertRaisesMessage(TypeError, "needs block=True"):
            layer.receive(["a"], timeout=1)
        for timeout in (-1, -0.1, float("nan"), float("inf"), 1e300, "1", True, [1]):
            with self.subTest(timeout=timeout):
                with self.assertRaisesMessage(TypeError, repr(timeout)):
                    layer.receive(["a"], block=True, timeout=timeout)
                with self.assertRaisesMessage(TypeError, repr(timeout)):
                    layer.receive_batch(["a"], 1, block=True, timeout=timeout)
        for limit in (0, -1, 1.5, "1", None, True):
            with self.subTest(limit=limit):
                with self.assertRaisesMessage(TypeError, repr(limit)):
                    layer.receive_batch(["a"], limit)
        self.assertEqual(layer.receive(["a"]), ("a", {}))

    @cites("CL-29", "where they are received once more")
    @both_forms()
    def test_what_is_put_back_is_received_once_more(self, layer):
        layer.send_batch([("inbox!a", {"n": n}) for n in range(3)])
        pairs = [layer.receive(["inbox!"]) for _ in range(3)]
        self.assertEqual(layer.put_back(pairs), [None] * 3)
        again = [layer.receive(["inbox!"]) for _ in range(3)]
        self.assertEqual(again, pairs)
        self.assertEmpty(layer, "inbox!")

    @cites("CL-29", "where they are received once more")
    @both_forms(alone=True, expiry=EXPIRY)
    def test_what_is_put_back_outlasts_expired_messages(self, layer):
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            with self.subTest(name=name):

                def send_and_receive():
                    layer.send_batch([(name, {"n": n}) for n in range(3)])
                    return layer.receive_batch([key], 1)

                pairs = self.in_time(layer, send_and_receive)
                self.pass_time(layer.layer, EXPIRY)

                def put_back_and_receive():
                    layer.put_back(pairs)
                    return layer.receive_batch([key], 3)

                self.assertEqual(self.in_time(layer, put_back_and_receive), pairs)
