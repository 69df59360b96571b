"""The threads of a worker group: who dies, and who runs too long."""

import threading
from unittest import mock

from django.channels import Channel, route
from django.channels.worker import Worker, WorkerGroup, prefetch
from django.channels.worker import watch as watch_module
from django.test import SimpleTestCase

from .layers import make_layer
from .processes import PATIENCE_SECONDS
from .utils import TIMEOUT, patch_for


class WatchTestCase(SimpleTestCase):
    def setUp(self):
        for name in ("LOOK_SECONDS", "FIRST_BACKOFF_SECONDS"):
            patch_for(self, watch_module, name, 0.01)
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.held = []
        self.addCleanup(self.let_held_end)
        self.layer = make_layer([route("hold", self.hold), route("a", self.echo)])

    def hold(self, message):
        self.held.append(threading.current_thread())
        self.begun.set()
        self.go_on.wait(TIMEOUT)

    def let_held_end(self):
        """Wait for threads for which a group does not wait."""
        self.go_on.set()
        for thread in self.held:
            thread.join(TIMEOUT)

    def echo(self, message):
        if "hold" in message:
            return self.hold(message)
        Channel("results", channel_layer=self.layer).send({"n": message["n"]})

    def start(self, **options):
        group = WorkerGroup(self.layer, **options)
        group.start()
        self.addCleanup(group.stop, TIMEOUT)
        self.addCleanup(self.go_on.set)
        return group

    def assertConsumes(self, number):
        self.layer.send("a", {"n": number})
        pair = self.layer.receive(["results"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair, ("results", {"n": number}))


class DeathTests(WatchTestCase):
    def test_a_dead_thread_is_logged_and_replaced(self):
        begin, died = Worker.begin, threading.Event()

        def die_once(worker, channel, content):
            if not died.is_set():
                died.set()
                raise SystemExit("worse than a consumer can do")
            return begin(worker, channel, content)

        with (
            mock.patch.object(Worker, "begin", die_once),
            self.assertLogs("django.channels.worker", "ERROR") as logs,
        ):
            group = self.start()
            self.layer.send("a", {"n": 1})
            self.assertTrue(died.wait(TIMEOUT))
            self.assertConsumes(2)
        self.assertIn("channels-worker-1 failed:", logs.output[0])
        self.assertIn("SystemExit: worse than", logs.output[0])
        self.assertIn("channels-worker-1 died; another one starts", logs.output[1])
        self.assertIs(group.stop(TIMEOUT), True)

    def test_each_death_in_a_row_is_waited_for_longer(self):
        place = watch_module._Place(1, None)
        place.thread = threading.current_thread()
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            for _ in range(12):
                place.started = watch_module.time.monotonic()
                place.thread = threading.current_thread()
                place.note_death()
        self.assertIn("starts in 0.02 s.", logs.output[1])
        self.assertIn("starts in 5.00 s.", logs.output[-1])


class TimeLimitTests(WatchTestCase):
    def test_without_a_supervisor_another_thread_takes_the_place(self):
        find = watch_module.Watch._find_overdue

        def find_once_begun(watch):
            # Not between a thread's begin of its work and that of the consumer.
            if self.begun.is_set():
                find(watch)

        patch_for(self, watch_module.Watch, "_find_overdue", find_once_begun)
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            group = self.start(time_limit=0.05)
            self.layer.send("hold", {})
            self.assertTrue(self.begun.wait(TIMEOUT))
            self.assertConsumes(1)
        self.assertIn(
            "More than 0.05 s: a consumer for a message on hold runs too long. It is "
            "at:",
            logs.output[0],
        )
        self.assertIn("in hold\n", logs.output[0])
        # Whoever ends it now cannot say that all is done.
        self.assertIs(group.stop(TIMEOUT), False)

    def test_a_quick_consumer_is_left_alone(self):
        group = self.start(time_limit=TIMEOUT)
        with self.assertNoLogs("django.channels.worker", "ERROR"):
            for number in range(20):
                self.assertConsumes(number)
        self.assertIs(group.stop(TIMEOUT), True)

    def test_what_waits_behind_a_slow_consumer_goes_back_to_the_layer(self):
        # However long one run took now and then, all are fetched together.
        patch_for(self, prefetch, "FETCHED_SECONDS", PATIENCE_SECONDS)
        group = self.start()
        for number in range(100):
            self.assertConsumes(number)
        self.layer.send_batch(
            [("a", {"hold": True}), *(("a", {"n": number}) for number in range(3))]
        )
        self.assertTrue(self.begun.wait(TIMEOUT))
        # Another worker gets it, and this one does not come to it.
        pair = self.layer.receive(["a"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair, ("a", {"n": 0}))
        self.go_on.set()
        self.assertIs(group.stop(TIMEOUT), True)
