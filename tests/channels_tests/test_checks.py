from io import StringIO
from types import SimpleNamespace

from django.channels import include, route
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.checks import check_layers, check_limits
from django.channels.exceptions import InvalidLimitError, LayerUnavailable
from django.channels.limits import DEFAULT_LIMITS, get_limits
from django.channels.routing import path
from django.core.checks import Warning, run_checks
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import SimpleTestCase, override_settings
from django.urls import include as include_urls
from django.urls import path as url_path
from django.urls import re_path as url_re_path

from .layers import MEMORY, SpanningLayer, layer_settings


class LayerCheckTests(SimpleTestCase):
    def assertError(self, layers, error_id, msg):
        with override_settings(CHANNEL_LAYERS=layers):
            errors = check_layers()
        self.assertEqual([error.id for error in errors], [error_id])
        self.assertIn(msg, errors[0].msg)

    def test_the_checks_are_registered(self):
        with override_settings(CHANNEL_LAYERS=7):
            self.assertEqual(
                [error.id for error in run_checks(tags=["channels"])],
                ["channels.E001"],
            )

    def test_a_good_configuration_passes(self):
        for layers in ({}, layer_settings()):
            with override_settings(CHANNEL_LAYERS=layers):
                self.assertEqual(check_layers(), [])

    def test_a_wrong_layer_is_an_error(self):
        self.assertError(7, "channels.E001", "must be a dict of aliases, not 7.")
        layers = {"default": {"BACKEND": "no.such.Layer", "ROUTING": []}}
        self.assertError(layers, "channels.E001", "Cannot import BACKEND 'no.such.")

    def test_an_unimportable_routing_is_an_error(self):
        layers = {"default": {"BACKEND": MEMORY, "ROUTING": "no.such.routing"}}
        msg = (
            "The ROUTING of CHANNEL_LAYERS['default'] cannot be loaded: Cannot import "
            "channel routing 'no.such.routing'"
        )
        self.assertError(layers, "channels.E002", msg)

    def test_a_bad_name_in_a_routing_is_an_error(self):
        routing = {"a b": f"{__name__}.LayerCheckTests"}
        layers = {"default": {"BACKEND": MEMORY, "ROUTING": routing}}
        self.assertError(layers, "channels.E002", "'a b' is not a valid name")


def consumer(message, **kwargs):
    pass


class RoutingCheckTests(SimpleTestCase):
    """What is wrong with the entries of a routing."""

    def check(self, *routing):
        with override_settings(CHANNEL_LAYERS=layer_settings(list(routing))):
            return check_layers()

    def assertHidden(self, routing, hidden, channels, earlier):
        (warning,) = self.check(*routing)
        self.assertEqual(warning.id, "channels.W006")
        self.assertEqual(
            warning.msg,
            f"{hidden!r} in the ROUTING of CHANNEL_LAYERS['default'] never gets a "
            f"message on {channels}: {earlier!r} before it takes all of them.",
        )

    def test_a_good_routing_passes(self):
        found = self.check(
            route("websocket.connect", consumer, path="^/a/$"),
            route("websocket.connect", consumer, path="^/b/$"),
            route("websocket.receive", consumer, path="^/a/$"),
            include([route("websocket.connect", consumer)], path="^/c"),
            include([route("websocket.connect", consumer)], path="^/d"),
            path("chat/<slug:room>/", consumer, name="room"),
            path("chat/<slug:room>/<int:page>/", consumer),
            route("http.request", consumer),
            route("websocket.connect", consumer),
        )
        self.assertEqual(found, [])

    def test_the_same_entry_twice_is_a_warning(self):
        self.assertHidden(
            [
                route(["a", "b"], consumer, path="^/x"),
                route("b", consumer, path="^/x"),
            ],
            "b, path='^/x'",
            "b",
            "a, b, path='^/x'",
        )

    def test_an_entry_behind_one_that_takes_more_is_a_warning(self):
        self.assertHidden(
            [route("a", consumer), route("a", consumer, path="^/x")],
            "a, path='^/x'",
            "a",
            "a",
        )

    def test_the_same_path_twice_is_a_warning(self):
        self.assertHidden(
            [
                path("chat/", include([path("<slug:room>/", consumer)])),
                path("chat/<slug:room>/", {"websocket.receive": consumer}),
            ],
            "chat/<slug:room>/",
            "websocket.receive",
            "chat/<slug:room>/",
        )

    def test_entries_are_compared_behind_their_prefixes(self):
        self.assertHidden(
            [
                include([route("a", consumer, path="^/x")], path="^/v1"),
                include([route("a", consumer, path="^/x")], path="^/v2"),
                include([route("a", consumer, path="^/x", n="1")], path="^/v2"),
            ],
            "a, path='^/x', n='1'",
            "a",
            "a, path='^/x'",
        )

    def test_an_entry_of_another_class_is_left_out(self):
        class Sieve:
            def match(self, message):
                return None

        self.assertEqual(self.check(Sieve(), route("a", consumer), Sieve()), [])

    def test_the_checks_of_urls_are_those_of_paths(self):
        found = self.check(
            path("^chat/$", consumer), path("a/", consumer, name="with:colon")
        )
        self.assertEqual([w.id for w in found], ["2_0.W001", "urls.W003"])

    def test_a_channel_that_no_server_sends_to_is_a_warning(self):
        found = self.check(
            route(["websocket.conect", "websockets", "http2"], consumer),
            path("a/", {"websocket.recieve": consumer, "websocket.gap": consumer}),
            include([route("http.disconnected", consumer)], path="^/a"),
        )
        sent = (
            "websocket.connect, websocket.disconnect, websocket.gap, websocket.receive"
        )
        names = "websocket.conect", "websocket.recieve", "http.disconnected"
        self.assertEqual([w.id for w in found], 3 * ["channels.W011"])
        for warning, name, known in zip(
            found, names, (sent, sent, "http.disconnect, http.request"), strict=True
        ):
            self.assertIn(
                f"in the ROUTING of CHANNEL_LAYERS['default'] takes messages on "
                f"{name}, and no server sends any: they are sent on {known}.",
                warning.msg,
            )

    def test_a_routing_that_cannot_be_loaded_is_an_error(self):
        broken = SimpleNamespace(urlpatterns=[7])
        for routing, msg in (
            ({"a": 7}, "The consumer 7 is not callable."),
            ({"a": f"{__name__}.missing"}, "Cannot import consumer"),
            ([url_path("a/", include_urls(broken))], "7 is included by a path"),
            ([url_re_path("^(a)$", consumer)], "contains positional groups"),
            ([7], "7 in a channel routing is not a route"),
        ):
            with (
                self.subTest(msg),
                override_settings(CHANNEL_LAYERS=layer_settings(routing)),
            ):
                (error,) = check_layers()
                self.assertEqual(error.id, "channels.E002")
                self.assertIn(msg, error.msg)


class CheckedLayer(MemoryChannelLayer):
    """A layer with something wrong in its options, and maybe in its store."""

    def __init__(self, address="host", **options):
        super().__init__(**options)
        self.address = address
        self.closed = False
        made.append(self)

    def check(self, reach=False):
        messages = [Warning("Bad option.", id="mine.W001")]
        if reach:
            if self.address == "nowhere":
                raise LayerUnavailable("nowhere:6379 refuses connections.")
            messages.append(Warning("Bad setting.", id="mine.W002"))
        return messages

    def close(self):
        super().close()
        self.closed = True


made = []


class StoreCheckTests(SimpleTestCase):
    """The checks of what is behind a layer run with --deploy."""

    def setUp(self):
        made.clear()

    def run_checks(self, deploy, **config):
        layers = layer_settings(backend=f"{__name__}.CheckedLayer", **config)
        with override_settings(CHANNEL_LAYERS=layers):
            return run_checks(tags=["channels"], include_deployment_checks=deploy)

    def test_a_layers_own_messages_are_those_of_the_check(self):
        self.assertEqual([e.id for e in self.run_checks(False)], ["mine.W001"])

    def test_a_store_is_asked_with_deploy_only(self):
        self.assertEqual(
            [e.id for e in self.run_checks(True)], ["mine.W001", "mine.W002"]
        )
        self.assertEqual(len(self.run_checks(False, address="nowhere")), 1)

    def test_a_store_that_does_not_answer_is_an_error(self):
        errors = self.run_checks(True, address="nowhere")
        self.assertEqual([e.id for e in errors], ["mine.W001", "channels.E005"])
        self.assertEqual(
            errors[1].msg,
            f"Channel layer default ({__name__}.CheckedLayer) cannot be reached: "
            "nowhere:6379 refuses connections.",
        )
        self.assertEqual(
            errors[1].hint, "Start its store, or correct CHANNEL_LAYERS['default']."
        )

    def test_what_was_asked_is_closed(self):
        for address in ("host", "nowhere"):
            self.run_checks(True, address=address)
            self.assertIs(made[-1].closed, True)

    def test_the_command_asks_with_deploy_only(self):
        layers = layer_settings(backend=f"{__name__}.CheckedLayer", address="nowhere")
        with override_settings(CHANNEL_LAYERS=layers):
            call_command("check", "--tag=channels", stderr=StringIO())
            with self.assertRaisesMessage(SystemCheckError, "(channels.E005)"):
                call_command("check", "--tag=channels", "--deploy", stderr=StringIO())

    def test_wrong_settings_are_reported_once(self):
        for layers in (7, {"default": {"BACKEND": "no.such.Layer", "ROUTING": []}}):
            with override_settings(CHANNEL_LAYERS=layers):
                errors = run_checks(tags=["channels"], include_deployment_checks=True)
            self.assertEqual([e.id for e in errors], ["channels.E001"])


class LimitTests(SimpleTestCase):
    def test_the_defaults_are_in_force(self):
        self.assertEqual(get_limits(), DEFAULT_LIMITS)

    def test_the_setting_overrides_them_and_a_call_overrides_that(self):
        limits = {"HTTP_BODY_BYTES": 10, "HTTP_HEADER_BYTES": None}
        with override_settings(CHANNEL_LIMITS=limits):
            found = get_limits(HTTP_BODY_BYTES=20)
        self.assertEqual(found, {**DEFAULT_LIMITS, **limits, "HTTP_BODY_BYTES": 20})

    def test_bad_limits_are_errors_that_name_the_value(self):
        for limits, msg in (
            ({"HTTP_BODY": 1}, "CHANNEL_LIMITS has no 'HTTP_BODY'; it knows HTTP_"),
            ({"HTTP_BODY_BYTES": 0}, "must be a number above 0, or None for no limit"),
            ({"HTTP_BODY_BYTES": "1"}, "limit, not '1'."),
            ({"HTTP_BODY_BYTES": True}, "limit, not True."),
            ({"WEBSOCKET_CHECK_ORIGIN": None}, "must be True or False, not None."),
        ):
            with self.subTest(limits=limits), override_settings(CHANNEL_LIMITS=limits):
                errors = check_limits()
                self.assertEqual([error.id for error in errors], ["channels.E003"])
                self.assertIn(msg, errors[0].msg)
                with self.assertRaisesMessage(InvalidLimitError, msg):
                    get_limits()
        with self.assertRaisesMessage(InvalidLimitError, "CHANNEL_LIMITS has no 'X'"):
            get_limits(X=1)

    def test_a_setting_that_is_no_dict_is_an_error(self):
        with override_settings(CHANNEL_LIMITS=[1]):
            self.assertEqual([e.id for e in check_limits()], ["channels.E003"])


@override_settings(CHANNEL_LAYERS=layer_settings())
class RunworkerTests(SimpleTestCase):
    def assertRefused(self, msg, *args):
        with self.assertRaisesMessage(CommandError, msg):
            call_command("runworker", *args, stdout=StringIO(), skip_checks=True)

    def test_a_layer_of_one_process_is_refused(self):
        self.assertRefused(
            f"Channel layer default ({MEMORY}) does not span processes: a worker in "
            f"another process receives nothing from it. Configure a layer that spans "
            f"processes"
        )

    def test_an_unknown_layer_is_named(self):
        self.assertRefused(
            "There is no channel layer 'other': CHANNEL_LAYERS has default.",
            "--layer=other",
        )

    def test_globs_that_match_no_channel_are_refused(self):
        layers = layer_settings(backend=f"{SpanningLayer.__module__}.SpanningLayer")
        with override_settings(CHANNEL_LAYERS=layers):
            self.assertRefused(
                "No channel of the routing is left by --only-channels=nothing "
                "--exclude-channels=http.*: it has http.disconnect, http.",
                "--only-channels=nothing",
                "--exclude-channels=http.*",
            )

    def test_a_bad_number_of_threads_is_named(self):
        self.assertRefused("--threads must be 1 or more, not 0.", "--threads=0")
