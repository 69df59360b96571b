"""What a binding says, and which data it sends."""

from django.channels.binding.base import CREATE, Binding
from django.channels.binding.websockets import (
    WebsocketBinding,
    WebsocketBindingWithMembers,
)
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test import SimpleTestCase, TestCase
from django.test.utils import isolate_apps

from .bindings import BindingTests
from .models import Label, Note


class DataTests(BindingTests, TestCase):
    """What of an instance is sent."""

    def data(self, **attrs):
        """Return the data of a note, as a binding with some attributes sends it."""
        attrs = {"fields": None, **attrs}
        base_class = attrs.pop("base", WebsocketBinding)
        binding = type(
            "DataBinding", (base_class,), {"model": Note, "stream": "s"} | attrs
        )
        self.addCleanup(binding.unregister)
        binding.unregister()
        label = Label.objects.create(name="x")
        note = Note.objects.create(room="a", text="one", due="2020-01-02", label=label)
        note.labels.add(label)
        return binding().serialize_data(Note.objects.get(pk=note.pk)), label

    def test_fields_says_what(self):
        data, label = self.data(fields=["text", "label", "labels"])
        expected = {"text": "one", "label": label.pk, "labels": [label.pk]}
        self.assertEqual(data, expected)

    def test_exclude_says_what_not(self):
        data, _ = self.data(exclude=["secret", "changed", "labels", "label"])
        names = {"room", "owner", "text", "count", "due", "attachment"}
        self.assertEqual(set(data), names)

    def test_all_fields_but_the_key(self):
        for fields in ["__all__"], "__all__":
            data, _ = self.data(fields=fields)
            self.assertNotIn("id", data)
            self.assertIn("secret", data)

    def test_members_are_sent_beside_the_fields(self):
        data, _ = self.data(
            base=WebsocketBindingWithMembers,
            fields=["text", "due"],
            send_members=["shout", "parent.name", "due.isoformat"],
        )
        self.assertEqual(
            data,
            {
                "text": "one",
                "due": "2020-01-02",
                "shout": "ONE",
                "parent__name": "x",
                "due__isoformat": "2020-01-02",
            },
        )


class DeclarationTests(SimpleTestCase):
    def declare(self, base_class=WebsocketBinding, **attrs):
        return type("Declared", (base_class,), {"model": Note, "stream": "s", **attrs})

    def test_a_binding_must_say_which_fields(self):
        message = "Declared must set either fields or exclude"
        for attrs in {}, {"fields": ["text"], "exclude": ["room"]}:
            with self.subTest(attrs=attrs):
                with self.assertRaisesMessage(ImproperlyConfigured, message):
                    self.declare(**attrs)

    def test_fields_must_be_a_list(self):
        message = "Declared.fields must be a list of names, not 'text'."
        with self.assertRaisesMessage(ImproperlyConfigured, message):
            self.declare(fields="text")

    def test_a_binding_to_sockets_must_name_its_stream(self):
        with self.assertRaisesMessage(ImproperlyConfigured, "must set stream"):
            self.declare(fields=["text"], stream=None)

    def test_a_subclass_without_a_model_is_abstract(self):
        self.assertIsNone(type("Abstract", (Binding,), {}).model)
        self.assertNotIn(None, Binding.get_registered_models())

    def test_bound_models_are_known(self):
        self.assertNotIn(Note, Binding.get_registered_models())
        binding = self.declare(fields=["text"])
        self.addCleanup(binding.unregister)
        binding.register()
        self.assertEqual(Binding.get_registered_models().count(Note), 1)

    @isolate_apps("channels_tests")
    def test_a_binding_may_stand_beside_its_model(self):
        class Thing(models.Model):
            pass

        binding = self.declare(model=Thing, fields=["__all__"])
        self.addCleanup(binding.unregister)
        self.assertEqual(binding.model_label, "channels_tests.thing")

    def test_what_is_missing_is_named(self):
        binding = self.declare(fields=["text"])
        self.addCleanup(binding.unregister)
        for call, name in (
            (lambda: binding.group_names(Note()), "group_names"),
            (lambda: binding().has_permission(None, CREATE, None), "has_permission"),
        ):
            with self.assertRaisesMessage(
                NotImplementedError, f"Declared must define {name}()."
            ):
                call()
