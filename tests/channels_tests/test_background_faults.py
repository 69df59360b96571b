"""Loops over named channels: signals, faults of the layer, and bad messages."""

import os
import signal
import threading
from unittest import mock

from django.channels import receiving
from django.channels.backoff import Backoff
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from .loops import AsyncLoops, LayerTests, SyncLoops
from .utils import patch_for

LOGGER = "django.channels.receiving"


class FaultTests(LayerTests):
    def test_signals_end_the_loop_after_the_body_and_are_as_before(self):
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number=number):
                before = signal.getsignal(number)
                self.send(1, 2)

                def body(message, messages):
                    os.kill(os.getpid(), number)

                try:
                    self.assertEqual(len(self.drain(body)), 1)
                except KeyboardInterrupt:
                    # asyncio.run() has cancelled the task.
                    self.assertIsInstance(self, AsyncLoops)
                    self.assertEqual(number, signal.SIGINT)
                self.assertEqual(self.left(), [2])
                self.assertIs(signal.getsignal(number), before)

    def test_a_second_interrupt_is_not_held_up(self):
        def body(message, messages):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        self.send(1, 2)
        with self.assertRaises(KeyboardInterrupt):
            self.drain(body, batch=2)
        self.assertEqual(self.left(), [2])

    def test_handlers_of_the_program_stay(self):
        calls = []

        def handler(number, frame):
            calls.append(number)

        before = signal.signal(signal.SIGTERM, handler)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        self.send(1, 2)
        self.collect(2, lambda *args: os.kill(os.getpid(), signal.SIGTERM))
        self.assertEqual(calls, [signal.SIGTERM] * 2)

    def test_signals_can_be_left_alone(self):
        seen = []
        self.send(1)
        self.collect(
            1,
            lambda *args: seen.append(signal.getsignal(signal.SIGTERM)),
            handle_signals=False,
        )
        self.assertEqual(seen, [signal.SIG_DFL])

    def test_faults_of_the_layer_are_waited_out(self):
        patch_for(self, receiving, "FIRST_BACKOFF_SECONDS", 0.001)
        raw, faults = self.layer.channel_layer, [1, 2, 3]
        name = "areceive_batch" if isinstance(self, AsyncLoops) else "receive_batch"
        receive = getattr(raw, name)

        def failing(*args):
            if faults:
                faults.pop()
                raise LayerUnavailable("The store is away.")
            return receive(*args)

        self.send(1)
        with mock.patch.object(raw, name, failing):
            with self.assertLogs(LOGGER, "ERROR") as logs:
                self.assertEqual(len(self.collect(1)), 1)
        self.assertEqual(len(logs.output), 3)
        self.assertIn("fails for a, b: The store is away.", logs.output[0])
        self.assertNotIn("Traceback", logs.output[0])

    def test_stop_ends_the_wait_after_a_fault(self):
        raw = self.layer.channel_layer

        def body(message, messages):
            def fail(*args):
                threading.Timer(0.05, messages.stop).start()
                raise ValueError("broken")

            for name in "receive_batch", "areceive_batch":
                patch_for(self, raw, name, fail)
            messages._receiver._backoff = Backoff(3600, 3600)

        self.send(1)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.assertEqual(len(self.drain(body)), 1)
        self.assertIn("ValueError: broken", logs.output[0])

    def test_a_message_with_a_false_reply_channel_is_dropped(self):
        self.layer.send("a", {"reply_channel": "no name"})
        self.send(1)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.assertEqual(self.collect(1)[0]["n"], 1)
        self.assertIn("Dropped a message on a: 'no name'", logs.output[0])

    def test_what_cannot_be_put_back_is_logged(self):
        self.send(1, 2)
        error = LayerUnavailable("The store is away.")
        for name in "put_back", "aput_back":
            patch_for(
                self, self.layer.channel_layer, name, mock.Mock(side_effect=error)
            )
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.collect(1, batch=2)
        self.assertIn("Cannot put a message back on a: The store is", logs.output[0])


class SyncFaultTests(FaultTests, SyncLoops, SimpleTestCase):
    pass


class AsyncFaultTests(FaultTests, AsyncLoops, SimpleTestCase):
    pass
