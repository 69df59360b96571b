"""Sending, one message or many, and reading them without a wait."""

from .base import ConformanceBase, cites
from .forms import both_forms
from .values import VALUES, plain


class SendingTests(ConformanceBase):
    @cites("CL-15", "It returns None.")
    @cites("CL-21", "return the name of the channel and the message")
    @both_forms()
    def test_a_message_is_received_with_the_name_of_its_channel(self, layer):
        for name, key in (("a", "a"), ("a?b", "a?b"), ("a!b", "a!")):
            with self.subTest(name=name):
                self.assertIsNone(layer.send(name, {"n": 1}))
                self.assertEqual(layer.receive([key]), (name, {"n": 1}))

    @cites("CL-21", "or (None, None), at once, when there is none")
    @both_forms()
    def test_an_empty_channel_gives_none_at_once(self, layer):
        self.assertEqual(layer.receive(["a"]), (None, None))
        self.assertEqual(layer.receive(["a", "b?c", "d!"]), (None, None))
        self.assertEqual(layer.receive_batch(["a", "b?c"], 10), [])

    @cites("CL-19", "at most once, by one reader")
    @both_forms()
    def test_a_message_is_received_once(self, layer):
        layer.send("a", {"n": 1})
        layer.send("b", {"n": 2})
        self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))
        self.assertEmpty(layer, "a")
        self.assertEqual(layer.receive(["a", "b"]), ("b", {"n": 2}))
        self.assertEmpty(layer, "a", "b")

    @cites("CL-20", "must be received by a reader of its channel")
    @both_forms(capacity=200)
    def test_every_message_is_received(self, layer):
        for n in range(200):
            layer.send("a", {"n": n})
        received = self.receive_all(layer, ["a"])
        self.assertEqual(sorted(m["n"] for m in received), list(range(200)))

    @cites("CL-16", "no message is stored, no membership is changed")
    @both_forms(capacity=1)
    def test_a_refused_call_changes_nothing(self, layer):
        with self.assertRaisesMessage(TypeError, "tuple"):
            layer.send("a", {"n": ()})
        with self.assertRaisesMessage(layer.MessageTooLarge, "at most"):
            layer.send("a", {"n": "x" * (layer.max_message_size + 1)})
        layer.send("a", {"n": 1})
        with self.assertRaisesMessage(layer.ChannelFull, "a"):
            layer.send("a", {"n": 2})
        self.assertEqual(self.receive_all(layer, ["a"]), [{"n": 1}])

    @cites("CL-16", "A call that raises must leave the layer as it was")
    @both_forms("groups")
    def test_a_refused_group_call_changes_nothing(self, layer):
        layer.group_add("group", "a")
        with self.assertRaisesMessage(TypeError, "'b!'"):
            layer.group_add("group", "b!")
        with self.assertRaisesMessage(TypeError, "'a!'"):
            layer.group_discard("group", "a!")
        with self.assertRaisesMessage(layer.MessageTooLarge, "at most"):
            layer.send_group("group", {"n": "x" * (layer.max_message_size + 1)})
        layer.send_group("group", {"n": 1})
        self.assertEqual(self.receive_all(layer, ["a"]), [{"n": 1}])

    @cites("CL-17", "must send (channel, message) pairs in their order")
    @both_forms(capacity=10)
    def test_a_batch_is_sent_in_order(self, layer):
        batch = [("a?b" if n % 2 else "inbox!c", {"n": n}) for n in range(20)]
        self.assertEqual(layer.send_batch(batch), [None] * 20)
        odd = self.receive_all(layer, ["a?b"])
        even = self.receive_all(layer, ["inbox!"])
        self.assertEqual([m["n"] for m in odd], list(range(1, 20, 2)))
        self.assertEqual([m["n"] for m in even], list(range(0, 20, 2)))
        self.assertEqual(layer.send_batch([]), [])

    @cites("CL-17", "None or the ChannelFull or MessageTooLarge of each")
    @both_forms(capacity=1)
    def test_a_batch_returns_the_error_of_each_message(self, layer):
        large = {"n": "x" * (layer.max_message_size + 1)}
        results = layer.send_batch(
            [("a", large), ("a", {"n": 1}), ("a", {"n": 2}), ("b", {"n": 3})]
        )
        self.assertEqual(
            [type(result) for result in results],
            [layer.MessageTooLarge, type(None), layer.ChannelFull, type(None)],
        )
        self.assertEqual(self.receive_all(layer, ["a"]), [{"n": 1}])
        self.assertEqual(self.receive_all(layer, ["b"]), [{"n": 3}])

    @cites("CL-17", "An invalid item raises TypeError before any is stored.")
    @both_forms()
    def test_an_invalid_item_refuses_the_whole_batch(self, layer):
        for item in (
            ("a", {"n": {1}}),
            ("a", None),
            ("b!", {}),
            ("a",),
            ("a", {}, 1),
            "ab",
            None,
            1,
        ):
            with self.subTest(item=item):
                with self.assertRaisesMessage(TypeError, "Item 1 of the batch"):
                    layer.send_batch([("a", {}), item, ("a", {})])
        for batch in ("ab", b"ab", {"a": {}}, None, 1):
            with self.subTest(batch=batch):
                with self.assertRaisesMessage(TypeError, "A batch must be a list"):
                    layer.send_batch(batch)
        self.assertEmpty(layer, "a")

    @cites("CL-18", "the later messages for the same channel or inbox must be refused")
    @both_forms(capacity=2)
    def test_after_a_refusal_no_message_of_a_batch_overtakes_it(self, layer):
        batch = [(name, {"n": n}) for n, name in enumerate(["i!a", "i!b", "i!c"])]
        batch += [("other", {"n": 3}), ("i!a", {"n": 4})]
        results = layer.send_batch(batch)
        full = [isinstance(result, layer.ChannelFull) for result in results]
        self.assertEqual(full, [False, False, True, False, True])
        self.assertEqual(self.receive_all(layer, ["i!"]), [{"n": 0}, {"n": 1}])
        self.assertEqual(self.receive_all(layer, ["other"]), [{"n": 3}])

    @cites("CL-15", "must not wait for room or for a reader")
    @both_forms(capacity=1)
    def test_a_full_channel_does_not_make_the_sender_wait(self, layer):
        for name in ("a", "a?b", "a!b"):
            layer.send(name, {})
            with self.assertRaisesMessage(layer.ChannelFull, name):
                layer.send(name, {})

    @cites("CL-10", "what is received has the values and the types of what was sent")
    @both_forms()
    def test_values_arrive_by_whatever_way_they_were_sent(self, layer):
        message = {"values": VALUES, "a": {"b": [{"c": VALUES}]}}
        layer.send_batch([("a", message)])
        received = layer.receive_batch(["a"], 1)
        self.assertEqual(plain(received[0][1]), plain(message))
        layer.put_back(received)
        self.assertEqual(plain(layer.receive(["a"])[1]), plain(message))
        if "groups" in layer.extensions:
            for name in ("in!a", "normal"):
                layer.group_add("group", name)
            layer.send_group("group", message)
            for key in ("in!", "normal"):
                self.assertEqual(plain(layer.receive([key])[1]), plain(message))

    @cites("CL-13", "What the sender or a reader does with a message after the call")
    @both_forms()
    def test_a_change_after_any_call_is_not_seen(self, layer):
        message = {"list": [1]}
        layer.send("a", message)
        pairs = [layer.receive(["a"])]
        layer.put_back(pairs)
        pairs[0][1]["list"].append(2)
        message["list"].append(3)
        received = layer.receive(["a"])[1]
        self.assertEqual(received, {"list": [1]})
        received["list"].append(4)
        self.assertEmpty(layer, "a")
