"""The loop of rundelay: what it keeps, sends and drops."""

import time
from datetime import timedelta

from django.test import SimpleTestCase, tag
from django.test.channel_layers import cites
from django.utils import timezone

from .databases import MariaDBTestCase, PostgreSQLTestCase, SQLiteTestCase
from .delays import LOGGER, NEVER, DelayTests
from .layers import make_layer
from .messages import assert_specified
from .services.waiting import wait_for
from .utils import TIMEOUT


class WorkerTests(DelayTests, SQLiteTestCase, SimpleTestCase):
    @cites("DL-3", "be sent before its delay has passed")
    def test_a_message_comes_when_it_is_due(self):
        asked = time.monotonic()
        self.ask(delay=150, n=1)
        self.run_worker(database_sleep_duration=NEVER)
        self.assertEqual(self.receive(), {"n": 1})
        self.assertGreaterEqual(time.monotonic() - asked, 0.15)
        self.assertEqual(self.objects.count(), 0)

    @cites("DL-6", "in the order of their due dates")
    def test_messages_come_in_the_order_of_their_due_dates(self):
        now = timezone.now()
        for n, delay in enumerate((300, 20, 200, 100)):
            message = self.make(content={"n": n})
            message.due_date = now + timedelta(milliseconds=delay)
            message.save(using=self.using)
        self.run_worker(database_sleep_duration=NEVER)
        order = [self.receive()["n"] for _ in range(4)]
        self.assertEqual(order, [1, 3, 2, 0])

    def test_a_message_that_is_due_sooner_ends_the_wait_for_another(self):
        worker = self.run_worker(database_sleep_duration=NEVER)
        self.ask(delay=NEVER * 1000, n=1)
        wait_for(lambda: self.objects.count() == 1, "the message is kept")
        self.ask(delay=1, n=2)
        self.assertEqual(self.receive(), {"n": 2})
        worker.end()
        self.assertEqual(self.objects.count(), 1)

    @cites("DL-5", "with its values and their types")
    def test_content_comes_as_it_was(self):
        content = {"b": b"\x00\xff", "l": [1, 2.0, None, {"$bytes": "$"}], "t": "\x00"}
        self.ask(**content)
        self.run_worker()
        self.assertEqual(self.receive(), content)

    def test_a_reply_channel_can_be_sent_to(self):
        name = self.layer.new_channel("reply!")
        self.ask(channel=name, n=1)
        self.run_worker()
        pair = self.layer.receive(["reply!"], block=True, timeout=TIMEOUT)
        self.assertEqual(pair, (name, {"n": 1}))

    @cites("DL-1", "be logged and dropped")
    def test_a_malformed_message_harms_no_other(self):
        messages = [
            {"channel": "target", "delay": 1, "content": {"n": 1}},
            {"channel": "target", "delay": "soon", "content": {"secret": 1}},
            {},
            {"channel": "no name", "delay": 1, "content": {}},
            {"channel": "target", "delay": 2, "content": {"n": 2}},
        ]
        assert_specified(self, messages[0], "asgi.delay")
        for message in messages:
            self.layer.send("asgi.delay", message)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.run_worker()
            self.assertEqual([self.receive()["n"] for _ in range(2)], [1, 2])
        self.assertEqual(len(logs.output), 3)
        self.assertIn("Dropped a message on asgi.delay: its delay is 'soon'", str(logs))
        self.assertNotIn("secret", str(logs.output))

    def test_messages_of_another_layer_are_left_alone(self):
        self.keep(content={"n": 1}, layer="other", delay=-60_000)
        self.keep(content={"n": 2})
        self.run_worker(database_sleep_duration=NEVER).end()
        self.assertEqual(self.receive(), {"n": 2})
        self.assertEqual(self.objects.get().layer, "other")

    @cites("DL-7", "be kept and tried again later")
    def test_a_full_channel_gets_its_messages_later(self):
        self.patch("worker", "REQUEUE_DELAY_MS", 1)
        # None is dropped before the test has looked, however slow that is.
        self.patch("worker", "MAX_TRIES", 1_000_000)
        self.layer = make_layer(channel_capacity={"target": 2})
        for n in range(6):
            self.ask(delay=1 + n, n=n)
        self.run_worker(database_sleep_duration=NEVER)
        wait_for(lambda: self.objects.filter(tries__gt=2).exists(), "it is tried again")
        received = sorted(self.receive()["n"] for _ in range(6))
        self.assertEqual(received, list(range(6)))

    @cites("DL-7", "be dropped and logged after a bounded number")
    def test_a_channel_that_stays_full_loses_its_message(self):
        self.patch("worker", "REQUEUE_DELAY_MS", 1)
        self.patch("worker", "MAX_TRIES", 3)
        self.layer = make_layer(channel_capacity={"target": 1})
        self.layer.send("target", {"n": 1})
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.ask(n=2)
            self.run_worker()
            wait_for(lambda: logs.output, "it is dropped")
        self.assertEqual(len(logs.output), 1)
        self.assertIn("Dropped a delayed message for target: ", logs.output[0])
        self.assertEqual(self.layer.statistics("target")["channel_full_count"], 4)
        self.assertEqual(self.objects.count(), 0)

    def test_a_row_that_cannot_be_sent_is_dropped(self):
        for fields in {"content": "no JSON"}, {"channel_name": "no name"}:
            message = self.make(delay=-60_000)
            for name, value in fields.items():
                setattr(message, name, value)
            message.save(using=self.using)
        self.keep(content={"n": 1})
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.run_worker()
            self.assertEqual(self.receive(), {"n": 1})
            # The second one is logged when the others are on the layer.
            wait_for(lambda: len(logs.output) == 2, "both are logged")
        self.assertIn("for target: its content cannot be read: ", logs.output[0])
        self.assertIn("for no name: ", logs.output[1])

    def test_the_end_leaves_what_is_not_due_in_the_database(self):
        self.ask(delay=90_000, n=1)
        worker = self.run_worker()
        wait_for(lambda: self.objects.count() == 1, "the message is kept")
        worker.end()
        self.assertEqual(self.layer.receive(["asgi.delay"]), (None, None))
        self.objects.get().send(self.layer)
        self.assertEqual(self.receive(), {"n": 1})


class SeveralTests(DelayTests):
    @cites("DL-4", "be sent once at the most")
    def test_several_workers_send_each_message_once(self):
        layer = self.layer = make_layer(capacity=10_000)
        for n in range(300):
            self.ask(delay=1 + n % 40, n=n)
        for _ in range(3):
            self.run_worker(database_sleep_duration=0.02)
        received = sorted(self.receive()["n"] for _ in range(300))
        self.assertEqual(received, list(range(300)))
        self.assertEqual(self.objects.count(), 0)
        self.assertEqual(layer.statistics("target")["messages_count"], 300)

    @cites("DL-8", "be sent by any other one")
    def test_what_others_left_is_sent(self):
        """Also what was stored when the worker had looked already."""
        self.keep(content={"n": 1})
        self.run_worker(database_sleep_duration=0.05)
        self.assertEqual(self.receive(), {"n": 1})
        self.keep(content={"n": 2}, delay=20)
        self.assertEqual(self.receive(), {"n": 2})


class SQLiteSeveralTests(SeveralTests, SQLiteTestCase, SimpleTestCase):
    pass


class PostgreSQLSeveralTests(SeveralTests, PostgreSQLTestCase, SimpleTestCase):
    pass


@tag("full")
class MariaDBSeveralTests(SeveralTests, MariaDBTestCase, SimpleTestCase):
    pass
