import threading
from asyncio import CancelledError
from signal import SIGTERM, getsignal, raise_signal
from unittest import mock

from django.channels import Channel, outbox, receiving, route, signals
from django.channels.exceptions import (
    ConsumeLater,
    DenyConnection,
    LayerUnavailable,
    WebsocketCloseException,
)
from django.channels.worker import Worker, WorkerGroup, runs
from django.test import SimpleTestCase

from .layers import make_layer
from .utils import TIMEOUT, patch_for


def raising(error):
    """Return a consumer that raises an error, and counts how often."""

    def consumer(message):
        consumer.count += 1
        raise error

    consumer.count = 0
    return consumer


def ignore(message):
    """Do nothing with a message."""


class WorkerTestCase(SimpleTestCase):
    def make_worker(self, *routing, **options):
        self.layer = make_layer(routing)
        return Worker(self.layer, **options)


class ConsumeTests(WorkerTestCase):
    def test_the_consumer_gets_the_message_and_the_arguments(self):
        calls = []

        def consumer(message, **kwargs):
            calls.append((message.content, message.channel.name, kwargs))
            self.assertEqual(message.reply_channel.name, "r!x")

        worker = self.make_worker(route("a", consumer, path="^/(?P<x>.)"))
        content = {"path": "/1", "reply_channel": "r!x"}
        worker.consume("a", content)
        self.assertEqual(calls, [(content, "a", {"x": "1"})])

    def test_what_a_consumer_sends_leaves_when_it_succeeds(self):
        def consumer(message):
            Channel("b", channel_layer=self.layer).send({"n": 1})
            self.assertEqual(self.layer.receive(["b"]), (None, None))

        self.make_worker(route("a", consumer)).consume("a", {})
        self.assertEqual(self.layer.receive(["b"]), ("b", {"n": 1}))

    def test_what_a_failed_consumer_sent_is_discarded(self):
        def consumer(message):
            Channel("b", channel_layer=self.layer).send({"n": 1})
            raise ValueError("broken")

        worker = self.make_worker(route("a", consumer))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            worker.consume("a", {})
        self.assertIn(
            f"Error processing message on a with consumer {__name__}.ConsumeTests."
            f"test_what_a_failed_consumer_sent_is_discarded.<locals>.consumer:",
            logs.output[0],
        )
        self.assertIn("ValueError: broken", logs.output[0])
        self.assertEqual(self.layer.receive(["b"]), (None, None))

    def test_sends_after_a_failed_consumer_are_immediate_again(self):
        worker = self.make_worker(route("a", raising(ValueError)))
        with self.assertLogs("django.channels.worker", "ERROR"):
            worker.consume("a", {})
        Channel("b", channel_layer=self.layer).send({"n": 1})
        self.assertEqual(self.layer.receive(["b"]), ("b", {"n": 1}))

    def test_an_unroutable_message_is_logged_and_dropped(self):
        worker = self.make_worker(route("a", ignore, path="^/x"))
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            worker.consume("a", {"path": "/y"})
        self.assertIn("Could not find match for message on a! ", logs.output[0])

    def test_the_callback_comes_first(self):
        calls = []

        def callback(channel, message):
            calls.append(("callback", channel, message["n"]))

        worker = self.make_worker(
            route("a", lambda message: calls.append("consumer")), callback=callback
        )
        worker.consume("a", {"n": 1})
        self.assertEqual(calls, [("callback", "a", 1), "consumer"])

    def test_signals_come_before_and_after_also_of_a_failure(self):
        calls = mock.Mock()
        for name in ("consumer_started", "consumer_finished"):
            receiver, signal = getattr(calls, name), getattr(signals, name)
            signal.connect(receiver)
            self.addCleanup(signal.disconnect, receiver)

        def consumer(message):
            calls.consumer()
            raise ValueError

        worker = self.make_worker(route("a", consumer))
        with self.assertLogs("django.channels.worker", "ERROR"):
            worker.consume("a", {})
        names = [call[0] for call in calls.mock_calls]
        self.assertEqual(names, ["consumer_started", "consumer", "consumer_finished"])
        self.assertEqual(calls.consumer_started.call_args.kwargs["environ"], {})

    def test_a_failing_flush_ends_nothing(self):
        def consumer(message):
            Channel("b", channel_layer=self.layer).send({})

        worker = self.make_worker(route("a", consumer))
        error = ConnectionError("gone")
        with mock.patch.object(
            self.layer.channel_layer, "send_batch", side_effect=error
        ):
            with self.assertLogs("django.channels.worker", "ERROR") as logs:
                worker.consume("a", {})
        self.assertIn("ConnectionError: gone", logs.output[0])

    def test_connections_are_cleaned_before_and_after_also_of_a_failure(self):
        calls = []
        patch_for(self, runs, "close_old_connections", lambda: calls.append("db"))

        def consumer(message):
            calls.append("consumer")
            raise ValueError

        worker = self.make_worker(route("a", consumer))
        with self.assertLogs("django.channels.worker", "ERROR"):
            worker.consume("a", {})
        self.assertEqual(calls, ["db", "consumer", "db"])

    def test_a_full_channel_loses_nothing_but_what_was_sent_to_it(self):
        def consumer(message):
            for name in ("full", "full", "b"):
                Channel(name, channel_layer=self.layer).send({})

        patch_for(self, outbox, "RETRY_SECONDS", 0)
        self.layer = make_layer([route("a", consumer)], capacity=1)
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            Worker(self.layer).consume("a", {})
        self.assertIn("Dropped 1 message(s) of a consumer: full", logs.output[0])
        self.assertEqual(self.layer.receive(["b"]), ("b", {}))
        # Outside of a consumer, sends leave at once again.
        Channel("b", channel_layer=self.layer).send({"n": 1})
        self.assertEqual(self.layer.receive(["b"]), ("b", {"n": 1}))


class EndlessTests(WorkerTestCase):
    """No consumer ends the thread that runs it."""

    def run_in_a_thread(self, consumer):
        """Return whether a thread that ran a consumer runs the next."""
        ran = threading.Event()
        worker = self.make_worker(
            route("websocket.connect", lambda message: ran.set(), path="^/last/"),
            route("websocket.connect", consumer),
        )
        group = WorkerGroup(worker.channel_layer)
        group.start()
        self.addCleanup(group.stop, TIMEOUT)
        with self.assertLogs("django.channels.worker", "ERROR") as self.logs:
            self.layer.send("websocket.connect", {"reply_channel": "r!x"})
            self.layer.send("websocket.connect", {})
            self.layer.send("websocket.connect", {"reply_channel": "no name"})
            self.layer.send("websocket.connect", {"path": "/last/"})
            return ran.wait(TIMEOUT)

    def test_what_is_no_exception_is_an_error_like_any_other(self):
        for error in SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError:
            with self.subTest(error=error):
                self.assertTrue(self.run_in_a_thread(raising(error)))
                pair = self.layer.receive(["r!"], block=True, timeout=TIMEOUT)
                self.assertEqual(pair[1], {"accept": False})

    def test_an_answer_that_cannot_be_sent_is_logged(self):
        self.assertTrue(self.run_in_a_thread(raising(ValueError)))
        self.assertIn("Cannot reply to None.", "".join(self.logs.output))
        self.assertIn("Cannot process a message on websocket.", str(self.logs.output))

    def test_an_action_that_is_illegal_is_an_error_like_any_other(self):
        for illegal in (DenyConnection(), WebsocketCloseException()):
            with self.subTest(illegal=illegal):
                ran = threading.Event()
                self.layer = make_layer(
                    [route("a", raising(illegal)), route("b", lambda m: ran.set())]
                )
                group = WorkerGroup(self.layer)
                group.start()
                with self.assertLogs("django.channels.worker", "ERROR") as logs:
                    self.layer.send("a", {"reply_channel": "r!x"})
                    self.layer.send("b", {})
                    self.assertTrue(ran.wait(TIMEOUT))
                    self.assertIs(group.stop(TIMEOUT), True)
                name = type(illegal).__name__
                self.assertIn(f"{name} was raised on a", "".join(logs.output))

    def test_an_interrupt_on_the_main_thread_passes(self):
        interrupt = raising(KeyboardInterrupt)
        worker = self.make_worker(route("a", interrupt))
        with self.assertRaises(KeyboardInterrupt):
            worker.consume("a", {})


class AnswerTests(WorkerTestCase):
    """Whoever waits for an answer gets one."""

    def consume(self, channel, consumer, **filters):
        worker = self.make_worker(route(channel, consumer, **filters))
        worker.consume(channel, {"reply_channel": "r!x", "path": "/p/"})
        return self.layer.receive(["r!"])[1]

    def test_a_denied_socket_is_rejected(self):
        reply = self.consume("websocket.connect", raising(DenyConnection))
        self.assertEqual(reply, {"accept": False})

    def test_a_socket_that_no_route_takes_is_rejected_and_logged(self):
        with self.assertLogs("django.channels.worker", "WARNING") as logs:
            reply = self.consume("websocket.connect", ignore, path="^/q/")
        self.assertEqual(reply, {"accept": False})
        self.assertIn("No route takes websocket.connect for '/p/'.", logs.output[0])

    def test_a_failed_connect_is_rejected(self):
        with self.assertLogs("django.channels.worker", "ERROR"):
            reply = self.consume("websocket.connect", raising(ValueError))
        self.assertEqual(reply, {"accept": False})

    def test_a_failed_request_is_answered_with_500(self):
        with self.assertLogs("django.channels.worker", "ERROR"):
            reply = self.consume("http.request", raising(ValueError))
        self.assertEqual(reply["status"], 500)

    def test_denying_elsewhere_is_an_error(self):
        consumer = raising(DenyConnection)
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            reply = self.consume("websocket.receive", consumer)
        self.assertIsNone(reply)
        self.assertIn("DenyConnection was raised on websocket.receive", logs.output[0])

    def test_a_failed_receive_leaves_the_socket_as_it_is(self):
        consumer = raising(ValueError)
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.assertIsNone(self.consume("websocket.receive", consumer))


class ConsumeLaterTests(WorkerTestCase):
    def setUp(self):
        patch_for(self, runs, "RETRY_DELAY_SECONDS", 0)

    def test_the_message_comes_again_as_it_was(self):
        contents = []

        def consumer(message):
            contents.append(message.content)
            if len(contents) == 1:
                raise ConsumeLater

        worker = self.make_worker(route("a", consumer))
        worker.consume("a", {"n": 1})
        worker.consume(*self.layer.receive(["a"]))
        self.assertEqual(contents, [{"n": 1}, {"n": 1}])
        self.assertEqual(self.layer.receive(["a"]), (None, None))

    def test_what_was_sent_is_discarded(self):
        def consumer(message):
            Channel("b", channel_layer=self.layer).send({})
            raise ConsumeLater

        self.make_worker(route("a", consumer)).consume("a", {})
        self.assertEqual(self.layer.receive(["b"]), (None, None))

    def test_after_the_last_try_it_is_dropped_and_logged(self):
        consumer = raising(ConsumeLater)
        worker = self.make_worker(route("a", consumer), message_retries=2)
        self.layer.send("a", {"n": 1})
        with self.assertLogs("django.channels.worker", "WARNING") as logs:
            while (found := self.layer.receive(["a"])) != (None, None):
                worker.consume(*found)
        self.assertEqual(consumer.count, 3)
        self.assertRegex(
            logs.output[0],
            r"Exceeded number of retries for message on channel a with consumer "
            r"\S*raising\S*: dropped after 2\.$",
        )

    def test_a_channel_that_stays_full_is_logged(self):
        patch_for(self, outbox, "RETRY_SECONDS", 0)
        self.layer = make_layer([route("a", raising(ConsumeLater))], capacity=1)
        self.layer.send("a", {"n": "another"})
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            Worker(self.layer).consume("a", {"n": 1})
        self.assertIn("Dropped 1 message(s) of a consumer: a", logs.output[0])


class FilterTests(WorkerTestCase):
    def filtered(self, **options):
        worker = self.make_worker(**options)
        return worker.apply_channel_filters({"http.request", "a.one", "a.two", "b"})

    def test_only_then_exclude(self):
        self.assertEqual(self.filtered(), ["a.one", "a.two", "b", "http.request"])
        self.assertEqual(self.filtered(only_channels=["a.*"]), ["a.one", "a.two"])
        self.assertEqual(self.filtered(exclude_channels=["a.*", "b"]), ["http.request"])
        options = {"only_channels": ["a.*", "b"], "exclude_channels": ["*.two"]}
        self.assertEqual(self.filtered(**options), ["a.one", "b"])

    def test_a_worker_with_no_channels_says_so(self):
        worker = self.make_worker(only_channels=["nothing"])
        with self.assertLogs("django.channels.worker", "ERROR") as logs:
            worker.run()
        self.assertIn("No channel of the routing is left", logs.output[0])


class RunTests(WorkerTestCase):
    def test_it_consumes_until_it_is_stopped(self):
        seen = []

        def consumer(message):
            seen.append(message["n"])
            if message["n"] == 2:
                worker.stop()

        worker = self.make_worker(route("a", consumer))
        for number in range(4):
            self.layer.send("a", {"n": number})
        worker.run()
        self.assertEqual(seen, [0, 1, 2])
        self.assertEqual(self.layer.receive(["a"]), ("a", {"n": 3}))

    def test_signals_stop_it_and_do_what_they_did_afterwards(self):
        before = getsignal(SIGTERM)
        worker = self.make_worker(route("a", lambda message: raise_signal(SIGTERM)))
        self.layer.send("a", {})
        worker.run()
        self.assertIs(worker.termed, True)
        self.assertIs(getsignal(SIGTERM), before)

    def test_a_fault_of_the_layer_is_logged_and_tried_again(self):
        worker = self.make_worker(route("a", lambda message: worker.stop()))
        self.layer.send("a", {})
        receive_batch = self.layer.channel_layer.receive_batch
        faults = [ConnectionError("gone"), ConnectionError("gone")]

        def flaky(*args, **kwargs):
            if faults:
                raise faults.pop()
            return receive_batch(*args, **kwargs)

        patch_for(self, receiving, "FIRST_BACKOFF_SECONDS", 0.001)
        with mock.patch.object(self.layer.channel_layer, "receive_batch", flaky):
            with self.assertLogs("django.channels.receiving", "ERROR") as logs:
                worker.run()
        self.assertEqual(len(logs.output), 2)
        self.assertIn("Layer default ", logs.output[0])
        self.assertIn(" fails for a, ", logs.output[0])

    def test_stopping_while_the_store_is_away_needs_no_traceback(self):
        worker = self.make_worker(route("a", ignore))
        failed = threading.Event()

        def fail(*args, **kwargs):
            failed.set()
            raise LayerUnavailable("gone")

        thread = threading.Thread(target=worker.run)
        with (
            mock.patch.object(self.layer.channel_layer, "send", fail),
            mock.patch.object(self.layer.channel_layer, "receive_batch", fail),
            self.assertLogs("django.channels.receiving", "ERROR") as logs,
        ):
            thread.start()
            self.assertTrue(failed.wait(TIMEOUT))
            worker.stop()
            thread.join(TIMEOUT)
        self.assertFalse(thread.is_alive())
        for record in logs.records:
            self.assertTrue(record.getMessage().endswith(": gone"))
            self.assertIsNone(record.exc_info)
        self.assertIs(worker.termed, True)


class WorkerGroupTests(SimpleTestCase):
    def setUp(self):
        self.running, self.go_on = threading.Semaphore(0), threading.Event()
        self.addCleanup(self.go_on.set)

    def consumer(self, message):
        self.running.release()
        self.go_on.wait(TIMEOUT)

    def make_group(self, n_threads):
        self.layer = make_layer([route("a", self.consumer)])
        return WorkerGroup(self.layer, n_threads=n_threads)

    def test_consumers_run_side_by_side(self):
        group = self.make_group(3)
        group.start()
        for _ in range(3):
            self.layer.send("a", {})
        for _ in range(3):
            self.assertTrue(self.running.acquire(timeout=TIMEOUT))
        self.go_on.set()
        self.assertIs(group.stop(TIMEOUT), True)

    def test_stopping_lets_a_consumer_finish(self):
        group = self.make_group(1)
        group.start()
        self.layer.send("a", {})
        self.assertTrue(self.running.acquire(timeout=TIMEOUT))
        self.assertIs(group.stop(0.05), False)
        self.go_on.set()
        self.assertIs(group.stop(TIMEOUT), True)

    def test_signals_tell_that_the_process_and_each_worker_is_ready(self):
        calls = []
        ready = threading.Semaphore(0)

        def receiver(signal, sender, **kwargs):
            calls.append((signal, sender))
            ready.release()

        for signal in (signals.worker_process_ready, signals.worker_ready):
            signal.connect(receiver)
            self.addCleanup(signal.disconnect, receiver)
        group = self.make_group(2)
        group.start()
        for _ in range(3):
            self.assertTrue(ready.acquire(timeout=TIMEOUT))
        group.stop(TIMEOUT)
        self.assertEqual(
            calls,
            [(signals.worker_process_ready, Worker)]
            + [(signals.worker_ready, Worker)] * 2,
        )
