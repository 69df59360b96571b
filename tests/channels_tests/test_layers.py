import threading

from django.channels import channel_layers
from django.channels.asgi import get_channel_layer
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.exceptions import InvalidChannelLayerError
from django.channels.layers import ChannelLayerManager
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase, override_settings

from .layers import MEMORY, SpanningLayer, layer_settings


class ManagerTests(SimpleTestCase):
    def setUp(self):
        self.manager = ChannelLayerManager()

    def settings_with(self, **config):
        entry = {**layer_settings()["default"], **config}
        return override_settings(CHANNEL_LAYERS={"default": entry})

    def assertInvalid(self, msg, alias="default"):
        with self.assertRaisesMessage(InvalidChannelLayerError, msg):
            self.manager[alias]

    def test_a_layer_is_built_once(self):
        with self.settings_with(CONFIG={"capacity": 7}):
            layer = self.manager["default"]
            self.assertIs(self.manager["default"], layer)
        self.assertIsInstance(layer.channel_layer, MemoryChannelLayer)
        self.assertEqual(layer.get_capacity("a"), 7)
        self.assertEqual(layer.alias, "default")
        self.assertEqual(str(layer), f"default ({MEMORY})")

    def test_threads_get_the_same_layer(self):
        layers = []
        with self.settings_with():
            threads = [
                threading.Thread(target=lambda: layers.append(self.manager["default"]))
                for _ in range(10)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(len(layers), 10)
        self.assertEqual(len(set(layers)), 1)

    def test_a_test_layer_has_the_test_config(self):
        with self.settings_with(CONFIG={"capacity": 7}, TEST_CONFIG={"capacity": 3}):
            self.assertEqual(self.manager.make_test_backend("default").capacity, 3)

    def test_a_missing_test_config_is_named(self):
        msg = "No TEST_CONFIG specified for default in CHANNEL_LAYERS."
        with self.settings_with():
            with self.assertRaisesMessage(InvalidChannelLayerError, msg):
                self.manager.make_test_backend("default")

    def test_membership_follows_the_setting(self):
        with override_settings(CHANNEL_LAYERS=layer_settings()):
            self.assertIn("default", self.manager)
            self.assertNotIn("other", self.manager)
            self.assertEqual(list(self.manager), ["default"])

    def test_an_unknown_alias_is_named(self):
        with self.settings_with():
            self.assertInvalid(
                "'other' is not in CHANNEL_LAYERS, which has default.", "other"
            )
        with override_settings(CHANNEL_LAYERS={}):
            self.assertInvalid("which has none at all.")

    def test_a_bad_entry_is_named(self):
        with override_settings(CHANNEL_LAYERS={"default": 7}):
            self.assertInvalid("CHANNEL_LAYERS['default'] must be a dict, not of type ")
        with override_settings(CHANNEL_LAYERS={"default": {"ROUTING": []}}):
            self.assertInvalid("No BACKEND specified for default")
        with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": MEMORY}}):
            self.assertInvalid("No ROUTING specified for default")
        with self.settings_with(OPTIONS={}):
            self.assertInvalid(
                "has unknown keys: OPTIONS. It knows BACKEND, CONFIG, ROUTING, "
            )
        for config, shown in ((None, "None"), ([1], "of type list")):
            with self.settings_with(CONFIG=config):
                self.assertInvalid(f"must be a dict of options, not {shown}.")
        with self.settings_with(BACKEND=7):
            self.assertInvalid("must be the dotted path of a class, not of type int.")

    def test_an_unimportable_backend_is_named(self):
        for backend, reason in (
            ("no.such.Layer", "No module named 'no'"),
            ("django.channels.backends.memory.No", 'does not define a "No"'),
            ("x", "x doesn't look like a module path"),
            (".layers.Layer", "a path cannot begin with a dot here."),
            ("django.channels.backends.memory", "this is a module; add a dot and"),
        ):
            with self.settings_with(BACKEND=backend):
                self.assertInvalid(
                    f"Cannot import BACKEND {backend!r} specified for default: "
                )
                self.assertInvalid(reason)

    def test_a_backend_that_is_no_layer_is_named(self):
        for backend in ("django.http.HttpResponse", "django.urls.path"):
            with self.settings_with(BACKEND=backend):
                self.assertInvalid(
                    f"BACKEND {backend!r} specified for default is not a channel "
                    "layer: it must be a class that derives from BaseChannelLayer."
                )

    def test_a_bad_option_is_named_with_what_is_allowed(self):
        with self.settings_with(CONFIG={"no_such_option": 1}):
            self.assertInvalid(
                "unexpected keyword argument 'no_such_option'. Its options are "
                "expiry, group_expiry, capacity, channel_capacity."
            )
        with self.settings_with(CONFIG={"capacity": 0}):
            self.assertInvalid(
                "CHANNEL_LAYERS['default']: capacity must be an int of at least 1"
            )

    def test_the_options_of_a_subclass_are_those_of_its_bases_too(self):
        backend = f"{__package__}.test_checks.CheckedLayer"
        with self.settings_with(BACKEND=backend, CONFIG={"hosts": 1}):
            self.assertInvalid(
                "Its options are address, expiry, group_expiry, capacity, "
                "channel_capacity."
            )

    def test_no_error_shows_what_may_be_secret(self):
        for entry in (
            "redis://:secret@localhost",
            {"BACKEND": MEMORY, "ROUTING": [], "CONFIG": {"no_such_option": "secret"}},
            {"BACKEND": MEMORY, "ROUTING": [], "CONFIG": ["secret"]},
        ):
            with override_settings(CHANNEL_LAYERS={"default": entry}):
                with self.assertRaises(InvalidChannelLayerError) as caught:
                    self.manager["default"]
                self.assertNotIn("secret", str(caught.exception))

    def test_an_invalid_layer_is_a_configuration_error(self):
        self.assertTrue(issubclass(InvalidChannelLayerError, ImproperlyConfigured))

    def test_a_layer_can_be_put_in_place(self):
        with self.settings_with():
            first = self.manager["default"]
            self.assertIs(self.manager.set("default", "other"), first)
            self.assertEqual(self.manager["default"], "other")
            self.assertEqual(self.manager.set("default", None), "other")
            self.assertIsNot(self.manager["default"], first)


class SettingTests(SimpleTestCase):
    def test_changed_settings_build_the_layers_anew(self):
        with override_settings(CHANNEL_LAYERS=layer_settings(capacity=1)):
            first = channel_layers["default"]
        with override_settings(CHANNEL_LAYERS=layer_settings(capacity=2)):
            self.assertIsNot(channel_layers["default"], first)
            self.assertEqual(channel_layers["default"].capacity, 2)

    def test_get_channel_layer_is_the_managers(self):
        with override_settings(CHANNEL_LAYERS=layer_settings()):
            self.assertIs(get_channel_layer(), channel_layers["default"])


class WrapperTests(SimpleTestCase):
    def test_it_tells_whether_the_layer_is_local(self):
        dotted = f"{SpanningLayer.__module__}.{SpanningLayer.__qualname__}"
        for backend, local in ((MEMORY, True), (dotted, False)):
            with override_settings(CHANNEL_LAYERS=layer_settings(backend=backend)):
                self.assertIs(channel_layers["default"].local_only(), local)

    def test_it_gives_what_the_layer_has(self):
        with override_settings(CHANNEL_LAYERS=layer_settings()):
            layer = channel_layers["default"]
            layer.send("a", {"n": 1})
            self.assertEqual(layer.receive(["a"]), ("a", {"n": 1}))
            self.assertTrue(issubclass(layer.ChannelFull, Exception))
            with self.assertRaisesMessage(AttributeError, "no_such_thing"):
                layer.no_such_thing
