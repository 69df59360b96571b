"""Django's path syntax in a channel routing."""

import re
from types import SimpleNamespace

from django.channels import Message, include, route
from django.channels.exceptions import InvalidRoutingError
from django.channels.routing import (
    Router,
    deny_consumer,
    null_consumer,
    path,
    re_path,
    reverse,
    reverse_lazy,
)
from django.test import SimpleTestCase, override_settings
from django.urls import NoReverseMatch
from django.urls import include as include_urls
from django.urls import path as url_path
from django.urls import register_converter
from django.urls.converters import REGISTERED_CONVERTERS, get_converters

from .layers import default_layer, make_layer


def chat(message, **kwargs):
    pass


def receive(message, **kwargs):
    pass


class RoomConsumer:
    """A class that names its channels."""

    def __init__(self, message, **kwargs):
        pass

    @classmethod
    def channel_names(cls):
        return {"websocket.connect", "thumbnails"}


class OddConverter:
    regex = "[0-9]+"

    def to_python(self, value):
        if int(value) % 2 == 0:
            raise ValueError("even")
        return int(value)

    def to_url(self, value):
        return str(value)


SOCKET = ("websocket.connect", "websocket.receive", "websocket.disconnect")

app = SimpleNamespace(
    app_name="chat",
    urlpatterns=[
        path("", chat, name="index"),
        path("<slug:room>/<int:number>/", chat, name="room"),
    ],
)


class PathTestCase(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.layer = make_layer()

    def match(self, routing, value, channel="websocket.connect", **content):
        message = Message({"path": value, **content}, channel, self.layer)
        return Router(routing).match(message)


class PathTests(PathTestCase):
    def test_a_function_gets_every_message_of_its_sockets(self):
        routing = [path("chat/<slug:room>/", chat)]
        for channel in SOCKET:
            with self.subTest(channel=channel):
                found = self.match(routing, "/chat/a-b/", channel)
                self.assertEqual(found, (chat, {"room": "a-b"}))
        self.assertIsNone(self.match(routing, "/chat/a-b/", "http.request"))
        self.assertEqual(Router(routing).channels, set(SOCKET))

    def test_converters_convert(self):
        routing = [path("<int:year>/<path:rest>", chat)]
        found = self.match(routing, "/2026/a/b")
        self.assertEqual(found, (chat, {"year": 2026, "rest": "a/b"}))

    def test_a_converter_of_ones_own_refuses(self):
        def remove():
            REGISTERED_CONVERTERS.pop("odd")
            get_converters.cache_clear()

        register_converter(OddConverter, "odd")
        self.addCleanup(remove)
        routing = [path("<odd:number>/", chat)]
        self.assertEqual(self.match(routing, "/7/"), (chat, {"number": 7}))
        self.assertIsNone(self.match(routing, "/8/"))

    def test_all_of_the_path_has_to_match(self):
        routing = [path("chat/<slug:room>/", chat)]
        for value in (
            "/chat/a/b/",
            "/chat/a",
            "chat//",
            "//chat/a/",
            "/x/chat/a/",
            "/chat/a/\n",
            "/chat/a!b/",
            "/chat/*/",
            "",
        ):
            with self.subTest(path=value):
                self.assertIsNone(self.match(routing, value))

    def test_extra_arguments_are_passed(self):
        routing = [path("chat/", chat, {"lang": "en"})]
        self.assertEqual(self.match(routing, "/chat/"), (chat, {"lang": "en"}))

    def test_a_class_gets_the_messages_of_its_channels(self):
        routing = [path("<slug:room>/", RoomConsumer)]
        self.assertEqual(Router(routing).channels, {"websocket.connect", "thumbnails"})
        expected = (RoomConsumer, {"room": "a"})
        self.assertEqual(self.match(routing, "/a/", "thumbnails"), expected)
        self.assertIsNone(self.match(routing, "/a/", "websocket.receive"))

    def test_a_dict_has_a_consumer_for_each_channel(self):
        consumers = {
            "websocket.connect": f"{__name__}.chat",
            "websocket.receive": receive,
        }
        routing = [path("<slug:room>/", consumers)]
        self.assertIs(self.match(routing, "/a/")[0], chat)
        self.assertIs(self.match(routing, "/a/", "websocket.receive")[0], receive)
        self.assertIsNone(self.match(routing, "/a/", "websocket.disconnect"))

    def test_a_consumer_can_be_a_dotted_path(self):
        found = self.match([path("", f"{__name__}.chat")], "/")
        self.assertEqual(found, (chat, {}))

    def test_what_cannot_be_imported_or_called_is_named(self):
        msg = f"Cannot import consumer '{__name__}.missing'"
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            path("", f"{__name__}.missing")
        with self.assertRaisesMessage(InvalidRoutingError, "7 is not callable."):
            path("", {"websocket.connect": 7})

    def test_the_path_of_urls_serves_as_well(self):
        routing = [url_path("chat/<slug:room>/", chat)]
        found = self.match(routing, "/chat/a/", "websocket.receive")
        self.assertEqual(found, (chat, {"room": "a"}))

    def test_a_regular_expression_has_named_groups_only(self):
        routing = [re_path(r"^chat/(?P<room>\w+)/$", chat)]
        self.assertEqual(self.match(routing, "/chat/a/"), (chat, {"room": "a"}))
        self.assertIsNone(self.match(routing, "/chat/a/\n"))
        msg = "'^chat/(.)/$' contains positional groups; only named groups are"
        with self.assertRaisesMessage(ValueError, msg):
            Router([re_path(r"^chat/(.)/$", chat)])

    def test_paths_and_routes_stand_side_by_side(self):
        routing = [
            path("a/", chat),
            route("websocket.connect", receive, path="^/b/"),
            path("b/", chat),
        ]
        self.assertIs(self.match(routing, "/a/")[0], chat)
        self.assertIs(self.match(routing, "/b/")[0], receive)
        self.assertIs(self.match(routing, "/b/", "websocket.receive")[0], chat)

    def test_a_message_without_a_path_goes_elsewhere(self):
        message = Message({}, "websocket.connect", self.layer)
        self.assertIsNone(Router([path("", chat)]).match(message))

    def test_the_prefix_of_the_server_is_taken_away(self):
        routing = [path("chat/", chat)]
        found = self.match(routing, "/site/chat/", root_path="/site")
        self.assertEqual(found, (chat, {}))
        # Some servers leave it out by themselves.
        self.assertEqual(self.match(routing, "/chat/", root_path="/site"), (chat, {}))
        self.assertIsNone(self.match(routing, "/sitechat/", root_path="/site"))
        with override_settings(FORCE_SCRIPT_NAME="/forced"):
            self.assertEqual(self.match(routing, "/forced/chat/"), (chat, {}))

    def test_a_path_that_no_route_takes_is_denied(self):
        router = Router([path("chat/", chat)], with_defaults=True)
        for channel, expected in zip(
            SOCKET, (deny_consumer, null_consumer, null_consumer)
        ):
            message = Message({"path": "/x/"}, channel, self.layer)
            self.assertIs(router.match(message)[0], expected)


class IncludedPathTests(PathTestCase):
    def test_urls_include_the_patterns_of_a_module(self):
        routing = [path("<slug:site>/", include_urls(app))]
        found = self.match(routing, "/x/lobby/7/")
        expected = {"site": "x", "room": "lobby", "number": 7}
        self.assertEqual(found, (chat, expected))
        self.assertEqual(Router(routing).channels, set(SOCKET))

    def test_channels_include_a_routing(self):
        inner = [include([path("<slug:room>/", chat)])]
        routing = [path("v1/", include(inner))]
        self.assertEqual(self.match(routing, "/v1/a/"), (chat, {"room": "a"}))
        self.assertIsNone(self.match(routing, "/v1/"))

    def test_a_prefix_of_a_regular_expression_goes_with_paths(self):
        routing = [include([path("<slug:room>/", chat)], path=r"^/v(?P<version>\d)")]
        found = self.match(routing, "/v1/a/")
        self.assertEqual(found, (chat, {"version": "1", "room": "a"}))

    def test_a_path_includes_nothing_but_paths(self):
        inner = SimpleNamespace(urlpatterns=[route("websocket.connect", chat)])
        msg = "is included by a path, where only path() and re_path() can stand."
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            Router([path("a/", include_urls(inner))])
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            path("a/", include([route("websocket.connect", chat)]))
        msg = "An include() with prefixes, {'path': '^/v'}, cannot be included by a"
        with self.assertRaisesMessage(InvalidRoutingError, msg):
            path("a/", include([path("", chat)], path="^/v"))


class ReverseTests(PathTestCase):
    behind_prefixes = [
        include([path("old/", chat, name="old")], path=r"^\/v1"),
        include(
            [
                path("room-<slug:room>/", chat, name="lang-room"),
                include([path("", chat, name="deep")], path=r"in(?P<n>[0-9]+)/"),
                path("app/", include_urls(app, namespace="far")),
            ],
            path=re.compile(r"(?i)^/(?P<lang>en|de)/"),
            method="GET",
        ),
    ]
    routing = [
        path("chat/<slug:room>/", chat, name="chat"),
        path("<slug:site>/", include_urls(app)),
        path("other/", include_urls(app, namespace="other")),
        include([path("plain/", chat, name="plain")]),
        *behind_prefixes,
        include([path("hidden/", chat, name="hidden")], path="^/x|^/z"),
        route("websocket.connect", chat, path="^/y"),
    ]

    def setUp(self):
        self.enterContext(default_layer(self.routing))

    def test_a_name_leads_to_its_path(self):
        self.assertEqual(reverse("chat", kwargs={"room": "a"}), "/chat/a/")
        self.assertEqual(reverse("chat", args=["a"]), "/chat/a/")
        self.assertEqual(reverse("plain"), "/plain/")

    def test_namespaces_are_those_of_urls(self):
        kwargs = {"site": "x", "room": "a", "number": 7}
        self.assertEqual(reverse("chat:room", kwargs=kwargs), "/x/a/7/")
        self.assertEqual(reverse("other:index"), "/other/")
        self.assertEqual(reverse("chat:index", current_app="other"), "/other/")

    def test_names_behind_a_prefix_lead_to_paths_that_match_it(self):
        for name, kwargs, expected in (
            ("old", {}, "/v1/old/"),
            ("lang-room", {"lang": "de", "room": "a"}, "/de/room-a/"),
            ("deep", {"lang": "en", "n": 7}, "/en/in7/"),
            ("far:index", {"lang": "en"}, "/en/app/"),
        ):
            with self.subTest(name):
                found = reverse(name, kwargs=kwargs)
                self.assertEqual(found, expected)
                match = self.match(self.behind_prefixes, found, method="GET")
                given = {key: str(value) for key, value in kwargs.items()}
                self.assertEqual(match, (chat, given))

    def test_a_prefix_refuses_what_does_not_match_it(self):
        for kwargs in {"room": "a"}, {"lang": "fr", "room": "a"}:
            with self.subTest(kwargs), self.assertRaises(NoReverseMatch):
                reverse("lang-room", kwargs=kwargs)

    def test_names_behind_alternatives_say_why_they_have_no_path(self):
        msg = (
            "Reverse for 'hidden' not found. 'hidden' is not a valid view function or "
            "pattern name. Names behind an include() with '/x|^/z' have no path: "
            "that is not one text with named groups."
        )
        with self.assertRaisesMessage(NoReverseMatch, msg):
            reverse("hidden")

    def test_a_query_is_added(self):
        self.assertEqual(reverse("plain", query={"a": 1}), "/plain/?a=1")

    def test_a_name_can_be_looked_up_later(self):
        later = reverse_lazy("plain")
        self.assertEqual(str(later), "/plain/")

    def test_the_prefix_of_the_site_is_added(self):
        from django.urls import clear_script_prefix, set_script_prefix

        set_script_prefix("/site/")
        self.addCleanup(clear_script_prefix)
        self.assertEqual(reverse("plain"), "/site/plain/")

    def test_what_has_no_path_has_no_match(self):
        for name in "hidden", "missing", "chat":
            msg = f"Reverse for '{name}' "
            with self.subTest(name), self.assertRaisesMessage(NoReverseMatch, msg):
                reverse(name)
        msg = "'nowhere' is not a registered namespace"
        with self.assertRaisesMessage(NoReverseMatch, msg):
            reverse("nowhere:chat")
