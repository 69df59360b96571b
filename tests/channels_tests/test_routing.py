from django.channels import Message, include, route, route_class
from django.channels.exceptions import InvalidRoutingError
from django.channels.handler import ViewConsumer
from django.channels.routing import (
    Router,
    connect_consumer,
    deny_consumer,
    null_consumer,
    resolve_routing,
)
from django.test import SimpleTestCase

from .layers import make_layer


def consumer_1(message, **kwargs):
    pass


def consumer_2(message, **kwargs):
    pass


class ClassConsumer:
    def __init__(self, message, **kwargs):
        pass

    @classmethod
    def channel_names(cls):
        return {"class.one", "class.two"}


chat_routing = [
    route("websocket.connect", consumer_1, path=r"^/(?P<room>[a-z]+)/$"),
    route("websocket.connect", consumer_2),
]


class RoutingTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layer = make_layer()

    def assertRoute(self, router, channel, content, expected):
        found = router.match(Message(content, channel, self.layer))
        self.assertEqual(found, expected)

    def test_the_channel_decides(self):
        router = Router([route("a", consumer_1), route("b", consumer_2)])
        self.assertRoute(router, "a", {}, (consumer_1, {}))
        self.assertRoute(router, "b", {}, (consumer_2, {}))
        self.assertRoute(router, "c", {}, None)
        self.assertEqual(router.channels, {"a", "b"})

    def test_a_route_takes_several_channels(self):
        router = Router([route(["a", "b"], consumer_1)])
        self.assertRoute(router, "b", {}, (consumer_1, {}))
        self.assertEqual(router.channels, {"a", "b"})

    def test_named_groups_of_a_filter_become_arguments(self):
        router = Router(chat_routing)
        content = {"path": "/lobby/"}
        expected = (consumer_1, {"room": "lobby"})
        self.assertRoute(router, "websocket.connect", content, expected)

    def test_the_first_match_wins(self):
        content = {"path": "/lobby/"}
        router = Router(list(reversed(chat_routing)))
        self.assertRoute(router, "websocket.connect", content, (consumer_2, {}))

    def test_a_missing_key_is_no_match(self):
        router = Router(chat_routing)
        self.assertRoute(router, "websocket.connect", {}, (consumer_2, {}))

    def test_every_filter_matches(self):
        router = Router([route("a", consumer_1, path="^/x", method="^POST$")])
        self.assertRoute(router, "a", {"path": "/x", "method": "GET"}, None)
        content = {"path": "/x", "method": "POST"}
        self.assertRoute(router, "a", content, (consumer_1, {}))

    def test_filters_match_bytes_and_numbers(self):
        router = Router([route("a", consumer_1, query_string="^x=(?P<x>.)", code="1")])
        content = {"query_string": b"x=1", "code": 1000}
        self.assertRoute(router, "a", content, (consumer_1, {"x": "1"}))
        content = {"query_string": b"\xff", "code": 1000}
        self.assertRoute(router, "a", content, None)

    def test_positional_groups_are_refused(self):
        msg = "path='^/(a)' contains positional groups; only named groups are allowed."
        with self.assertRaisesMessage(ValueError, msg):
            route("a", consumer_1, path="^/(a)")

    def test_a_filter_that_is_no_regular_expression_is_refused(self):
        msg = "The filter path='(' is not a regular expression"
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            route("a", consumer_1, path="(")

    def test_a_dollar_is_the_end_and_not_a_newline_before_it(self):
        router = Router([route("a", consumer_1, path=r"^/[a-z]+/$")])
        self.assertRoute(router, "a", {"path": "/x/"}, (consumer_1, {}))
        self.assertRoute(router, "a", {"path": "/x/\n"}, None)

    def test_an_inbox_is_routed_by_its_name(self):
        router = Router([route("in.box!", consumer_1)])
        self.assertRoute(router, "in.box!local", {}, (consumer_1, {}))

    def test_anything_with_a_match_is_a_route(self):
        class Sieve:
            def match(self, message):
                return (consumer_1, {"x": 1}) if message["n"] else None

        router = Router([Sieve(), route("a", consumer_2)])
        self.assertRoute(router, "a", {"n": 1}, (consumer_1, {"x": 1}))
        self.assertRoute(router, "a", {"n": 0}, (consumer_2, {}))
        self.assertEqual(router.channels, {"a"})

    def test_a_class_can_tell_what_to_call_for_a_channel(self):
        class Chooser:
            @staticmethod
            def for_channel(channel):
                return {"a": consumer_1, "b": consumer_2}[channel]

            def __init__(self, message):
                pass

        router = Router([route(["a", "b"], Chooser)])
        self.assertRoute(router, "a", {}, (consumer_1, {}))
        self.assertRoute(router, "b", {}, (consumer_2, {}))

    def test_a_channel_that_cannot_be_received_from_is_refused(self):
        for channels in ("a b", ["a", "in.box!local"], 7 * ["a!b!c"]):
            with self.subTest(channels=channels):
                msg = "is not a valid name of a channel to receive from"
                with self.assertRaisesMessage(TypeError, msg):
                    route(channels, consumer_1)

    def test_a_consumer_can_be_a_dotted_path(self):
        router = Router([route("a", f"{__name__}.consumer_1")])
        self.assertRoute(router, "a", {}, (consumer_1, {}))

    def test_an_unimportable_consumer_is_named(self):
        msg = f"Cannot import consumer '{__name__}.missing'"
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            route("a", f"{__name__}.missing")
        with self.assertRaisesMessage(InvalidRoutingError, "7 is not callable."):
            route("a", 7)

    def test_a_class_names_its_channels(self):
        router = Router([route_class(ClassConsumer, path="^/c(?P<n>.)")])
        self.assertEqual(router.channels, {"class.one", "class.two"})
        expected = (ClassConsumer, {"n": "1"})
        self.assertRoute(router, "class.two", {"path": "/c1"}, expected)

    def test_a_class_without_channel_names_is_refused(self):
        msg = "passed to RouteClass has no valid channel_names method."
        with self.assertRaisesMessage(ValueError, msg):
            route_class(consumer_1)

    def test_a_routing_can_be_a_dict(self):
        router = Router({"a": consumer_1, "b": f"{__name__}.consumer_2"})
        self.assertRoute(router, "b", {}, (consumer_2, {}))

    def test_a_routing_can_be_a_dotted_path(self):
        routes = resolve_routing(f"{__name__}.chat_routing")
        self.assertEqual(routes, chat_routing)

    def test_a_bad_routing_is_named(self):
        for routing, msg in (
            ("no.such.routing", "Cannot import channel routing 'no.such.routing'"),
            ("no", "no doesn't look like a module path"),
            (".routing", "a path cannot begin with a dot here."),
            # One module is loaded, the other is not.
            (__name__, f"Cannot import channel routing {__name__!r}: this is a module"),
            ("django.contrib.redirects.apps", "this is a module; add a dot and the "),
            ({"a": __name__}, f"Cannot import consumer {__name__!r}: this is a module"),
            (7, "must be a list, a dict or a dotted path, not 7."),
            ([consumer_1], "in a channel routing is not a route"),
        ):
            with self.subTest(routing=routing):
                with self.assertRaisesMessage(InvalidRoutingError, msg):
                    resolve_routing(routing)


class IncludeTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layer = make_layer()

    def match(self, routing, content):
        message = Message(content, "websocket.connect", self.layer)
        return Router(routing).match(message)

    def test_the_prefix_is_taken_away_and_its_groups_are_kept(self):
        routing = [include(chat_routing, path=r"^/v(?P<version>\d)")]
        found = self.match(routing, {"path": "/v2/lobby/"})
        self.assertEqual(found, (consumer_1, {"version": "2", "room": "lobby"}))

    def test_the_message_itself_keeps_its_prefix(self):
        content = {"path": "/v2/lobby/"}
        self.match([include(chat_routing, path=r"^/v2")], content)
        self.assertEqual(content, {"path": "/v2/lobby/"})

    def test_what_else_the_message_holds_is_not_copied(self):
        """A body may be large; Include.match() of the 1.x generation copied it."""
        seen = []

        class Looker:
            def match(self, message):
                seen.append(message)

        body, headers = bytes(1000), [[b"a", b"b"]]
        content = {"path": "/v2/a", "body": body, "headers": headers}
        self.match([include([Looker()], path="^/v2")], content)
        self.assertEqual(seen[0]["path"], "/a")
        self.assertIs(seen[0]["body"], body)
        self.assertIs(seen[0]["headers"], headers)
        self.assertEqual(seen[0].channel.name, "websocket.connect")

    def test_no_prefix_no_match(self):
        routing = [include(chat_routing, path=r"^/v2")]
        self.assertIsNone(self.match(routing, {"path": "/lobby/"}))
        self.assertIsNone(self.match(routing, {}))

    def test_includes_nest(self):
        inner = [include(f"{__name__}.chat_routing", path="^/b")]
        found = self.match([include(inner, path="^/a")], {"path": "/a/b/lobby/"})
        self.assertEqual(found, (consumer_1, {"room": "lobby"}))

    def test_the_channels_inside_are_known(self):
        router = Router([include(chat_routing, path="^/a")])
        self.assertEqual(router.channels, {"websocket.connect"})


class DefaultRouteTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layer = make_layer()

    def consumer_for(self, routing, channel, **content):
        message = Message(content, channel, self.layer)
        return Router(routing, with_defaults=True).match(message)[0]

    def test_requests_go_to_the_views(self):
        self.assertIsInstance(self.consumer_for([], "http.request"), ViewConsumer)

    def test_a_project_without_sockets_accepts_and_ignores_them(self):
        self.assertIs(self.consumer_for([], "websocket.connect"), connect_consumer)
        self.assertIs(self.consumer_for([], "websocket.receive"), null_consumer)
        self.assertIs(self.consumer_for([], "websocket.disconnect"), null_consumer)

    def test_a_project_with_sockets_rejects_the_others(self):
        routing = [route("websocket.connect", consumer_1, path="^/chat")]
        found = self.consumer_for(routing, "websocket.connect", path="/other")
        self.assertIs(found, deny_consumer)

    def test_a_route_that_is_added_later_is_asked(self):
        router = Router([route("a", consumer_1, path="^/x")])
        message = Message({"path": "/y"}, "a", self.layer)
        self.assertIsNone(router.match(message))
        router.add_route(route(["a", "b"], consumer_2))
        self.assertEqual(router.match(message), (consumer_2, {}))
        self.assertEqual(router.channels, {"a", "b"})

    def test_another_consumer_can_take_the_requests(self):
        router = Router([])
        router.check_default(http_consumer=consumer_1)
        message = Message({}, "http.request", self.layer)
        self.assertIs(router.match(message)[0], consumer_1)

    def test_routes_of_the_project_come_first(self):
        routing = [route("http.request", consumer_1)]
        self.assertIs(self.consumer_for(routing, "http.request"), consumer_1)
