from django.channels import Channel, Message, route, route_class
from django.channels.exceptions import ConsumeLater, InvalidRoutingError
from django.channels.routing import Router, path
from django.channels.worker import Worker
from django.db import connections, transaction
from django.test import TransactionTestCase

from .layers import make_layer


def consumer(message, **kwargs):
    pass


class ClassConsumer:
    def __init__(self, message, **kwargs):
        pass

    @classmethod
    def channel_names(cls):
        return {"a"}


async def async_consumer(message):
    pass


class AsyncCallable:
    async def __call__(self, message):
        pass


class AtomicRouteTests(TransactionTestCase):
    """A consumer runs in a transaction if its route says so."""

    available_apps = []
    databases = {"default", "other"}

    def run_route(self, make_route, **content):
        """Return which databases have a transaction while a consumer runs."""
        found = []

        def look(message, **kwargs):
            found.extend(
                alias for alias in connections if connections[alias].in_atomic_block
            )

        layer = make_layer()
        message = Message({"path": "/p/", **content}, "websocket.connect", layer)
        matched, kwargs = Router([make_route(look)]).match(message)
        matched(message, **kwargs)
        return found

    def test_a_route_chooses_the_databases(self):
        for atomic, expected in (
            (False, []),
            (True, ["default"]),
            ("other", ["other"]),
            (["default", "other"], ["default", "other"]),
        ):
            with self.subTest(atomic=atomic):
                found = self.run_route(
                    lambda look: route("websocket.connect", look, atomic=atomic)
                )
                self.assertEqual(found, expected)

    def test_a_path_chooses_them_too(self):
        found = self.run_route(lambda look: path("p/", look, atomic=True))
        self.assertEqual(found, ["default"])

    def test_requests_of_the_settings_do_not_apply(self):
        settings = connections["default"].settings_dict
        self.addCleanup(settings.update, ATOMIC_REQUESTS=settings["ATOMIC_REQUESTS"])
        settings["ATOMIC_REQUESTS"] = True
        found = self.run_route(lambda look: route("websocket.connect", look))
        self.assertEqual(found, [])

    def test_a_wrapped_consumer_keeps_its_name(self):
        message = Message({}, "a", make_layer())
        matched, _ = Router([route_class(ClassConsumer, atomic=True)]).match(message)
        self.assertEqual(matched.__qualname__, "ClassConsumer")
        self.assertIs(matched.__wrapped__, ClassConsumer)

    def test_an_unknown_database_is_named(self):
        msg = (
            "atomic must be True, False, or aliases of databases, not 'none': "
            "DATABASES has default, other."
        )
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            route("a", consumer, atomic="none")

    def test_an_asynchronous_consumer_is_refused(self):
        for refused in async_consumer, AsyncCallable():
            msg = "is asynchronous, so that atomic cannot be used"
            with self.subTest(refused):
                with self.assertRaisesMessage(InvalidRoutingError, msg):
                    route("a", refused, atomic=True)


class AtomicSendTests(TransactionTestCase):
    """What an atomic consumer sends leaves with its transaction."""

    available_apps = []

    def consume(self, error=None):
        """Run a consumer; return the messages it sent, and on what they waited."""
        waited = []

        def send(message):
            channel = Channel("b", channel_layer=message.channel_layer)
            channel.send({"n": 2}, on_commit=True)
            channel.send({"n": 1})
            transaction.on_commit(lambda: waited.append(layer.receive(["b"])[1]))
            if error is not None:
                raise error

        layer = make_layer([route("a", send, atomic=True)])
        Worker(layer).consume("a", {})
        sent = []
        while (message := layer.receive(["b"])[1]) is not None:
            sent.append(message["n"])
        return sent, waited

    def test_everything_leaves_after_the_commit(self):
        self.assertEqual(self.consume(), ([1, 2], [None]))

    def test_nothing_leaves_that_is_rolled_back(self):
        with self.assertLogs("django.channels.worker", "ERROR"):
            self.assertEqual(self.consume(ValueError()), ([], []))

    def test_consuming_later_rolls_back(self):
        self.assertEqual(self.consume(ConsumeLater()), ([], []))
