"""How a sender tries full channels again."""

from types import SimpleNamespace

from django.channels.backoff import FIRST_RETRY_SECONDS
from django.channels.outbox import LAST_RETRY_SECONDS, Outbox
from django.channels.worker import patience
from django.channels.worker.patience import PatientSender
from django.channels.worker.sender import Sender
from django.test import SimpleTestCase

from .layers import make_layer
from .utils import TIMEOUT, patch_for


class RoomTests(SimpleTestCase):
    """A patient sender, at times that the test tells."""

    def setUp(self):
        self.layer = make_layer(capacity=2)
        self.sender = PatientSender()
        self.now = 0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        patch_for(self, patience, "time", clock)

    def send(self, count, begin=0):
        names = ["full"] * count
        self.sender.send(
            [
                (self.layer, name, {"n": number}, False)
                for number, name in enumerate(names, begin)
            ]
        )

    def received(self):
        return [message["n"] for _, message in self.layer.receive_batch(["full"], 100)]

    def test_each_message_waits_for_as_long(self):
        self.send(3)
        self.now = 1.5
        self.send(1, begin=3)
        self.now = 2.5
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            self.sender.try_again()
        self.assertEqual(len(logs.output), 1)
        self.assertEqual(self.received(), [0, 1])
        self.now = 3.4
        self.sender.try_again()
        self.assertEqual(self.received(), [3])

    def test_a_channel_that_moves_slowly_loses_nothing(self):
        """Not even when it is never seen empty for much longer."""
        self.send(3)
        found = []
        for number in range(3, 20):
            self.now += 1
            found += [self.layer.receive(["full"])[1]["n"]]
            self.sender.try_again()
            self.send(1, begin=number)
        self.assertEqual(found, [*range(17)])

    def test_what_waits_is_tried_in_parts_and_keeps_its_order(self):
        patch_for(self, patience, "RETRY_MESSAGES", 3)
        self.send(10)
        found, sizes = [], []
        send_batch = self.layer.channel_layer.send_batch

        def note(messages):
            sizes.append(len(messages))
            return send_batch(messages)

        patch_for(self, self.layer.channel_layer, "send_batch", note)
        while len(found) < 10:
            found += self.received()
            self.sender.try_again()
        self.assertEqual(found, [*range(10)])
        self.assertEqual(max(sizes), 3)

    def test_a_channel_that_stays_full_is_tried_less_often(self):
        self.send(3)
        pauses = []
        for _ in range(6):
            self.sender.try_again()
            pauses.append(self.sender.next_try)
        self.assertEqual(pauses[:2], [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS])
        self.assertEqual(pauses[-1], LAST_RETRY_SECONDS)
        self.received()
        self.sender.try_again()
        self.assertEqual(self.sender.next_try, FIRST_RETRY_SECONDS)


class ThreadTests(SimpleTestCase):
    def test_what_waits_leaves_as_there_is_room(self):
        patch_for(self, patience, "RETRY_SECONDS", 1000)
        layer = make_layer(capacity=2)
        sender = Sender()
        self.addCleanup(sender.stop, TIMEOUT)
        outbox = Outbox()
        for number in range(50):
            outbox.add(layer, "full", {"n": number}, False)
        sender.send(outbox)
        found = [
            layer.receive(["full"], block=True, timeout=TIMEOUT)[1]["n"]
            for _ in range(50)
        ]
        self.assertEqual(found, [*range(50)])
