"""What the layers of tests know of what was sent, and from when on."""

import threading

from django.test import SimpleTestCase
from django.test.channel_tools.layers import RecordingChannelLayer

from .utils import TIMEOUT

# Seconds for which a record waits for somebody who is quicker.
PAUSE_SECONDS = 0.05


class SlowLayer(RecordingChannelLayer):
    """A layer whose senders stand still before they record a message."""

    def __init__(self):
        super().__init__()
        self.received = threading.Event()

    def _record(self, *args, **kwargs):
        self.received.wait(PAUSE_SECONDS)
        super()._record(*args, **kwargs)


class RecordTests(SimpleTestCase):
    def test_whoever_receives_a_message_finds_it_recorded(self):
        for name, *args in (
            ("send", "a", {}),
            ("send_batch", [("a", {})]),
            ("send_group", "g", {}),
        ):
            with self.subTest(name=name):
                layer, recorded = SlowLayer(), []
                self.addCleanup(layer.close)
                layer.group_add("g", "a")

                def receive():
                    layer.receive(["a"], block=True, timeout=TIMEOUT)
                    recorded.extend(layer.sent_messages)
                    layer.received.set()

                thread = threading.Thread(target=receive)
                thread.start()
                getattr(layer, name)(*args)
                thread.join(TIMEOUT)
                self.assertEqual(len(recorded), 1)
