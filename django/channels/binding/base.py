"""
What binds a model to groups, whatever carries it.

In: changes of models, from changes.py; messages, from consumers. Out: messages to
groups, when the transaction is committed; changes of the model.
"""

import logging
import reprlib
from contextlib import nullcontext

from django.apps import apps
from django.channels.binding import changes
from django.channels.channel import Group
from django.core.exceptions import (
    ImproperlyConfigured,
    ObjectDoesNotExist,
    PermissionDenied,
    ValidationError,
)
from django.db import connections, router, transaction
from django.db.models import FileField

__all__ = ["CREATE", "DELETE", "UPDATE", "Binding"]

CREATE = "create"
UPDATE = "update"
DELETE = "delete"

ALL_FIELDS = "__all__"

logger = logging.getLogger("django.channels.binding")


class Binding:
    """
    Sends changes of a model to groups, and changes it for those who may.

    A subclass with a ``model`` binds it from then on; one without is abstract. It
    says in ``fields`` or ``exclude`` which fields are sent and may be set, in
    group_names() who gets to know of an instance, and in has_permission() who may
    do what. ``channel_session_user`` and ``channel_session`` decorate the
    consumer. Raise ImproperlyConfigured for neither fields nor exclude, or both.
    """

    model = None
    stream = None
    fields = None
    exclude = None
    channel_session_user = True
    channel_session = False
    # What the signal that is being worked on came with.
    signal_kwargs = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.model is None:
            return
        if (cls.fields is None) == (cls.exclude is None):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} must set either fields or exclude; fields = "
                f"[{ALL_FIELDS!r}] stands for all."
            )
        if isinstance(cls.fields, str) and cls.fields != ALL_FIELDS:
            raise ImproperlyConfigured(
                f"{cls.__qualname__}.fields must be a list of names, not "
                f"{cls.fields!r}."
            )
        cls.register()

    @classmethod
    def register(cls):
        """Have changes of the model be sent, from now on."""
        changes.watch(cls.model, cls)

    @classmethod
    def unregister(cls):
        """Undo register()."""
        changes.forget(cls.model, cls)

    @staticmethod
    def get_registered_models():
        """Return the list of the models that are bound."""
        return changes.watched_models()

    # Outbound.

    @classmethod
    def group_names(cls, instance):
        """Return the names of the groups that get to know of an instance."""
        raise NotImplementedError(f"{cls.__qualname__} must define group_names().")

    def serialize(self, instance, action):
        """Return what to send of an instance; nothing is sent if it is empty."""
        raise NotImplementedError(f"{type(self).__qualname__} must define serialize().")

    @classmethod
    def encode(cls, stream, payload):
        """Return the message for what serialize() returned."""
        raise NotImplementedError(f"{cls.__qualname__} must define encode().")

    @classmethod
    def announce(cls, instance, action=UPDATE, using=None):
        """
        Send an instance to its groups, once the transaction is committed.

        For changes without signals, as by update() and bulk_create(). ``using`` is
        the alias of the database, that of the instance by default.
        """
        self = cls()
        groups = set(cls.group_names(instance))
        using = using or router.db_for_write(cls.model, instance=instance)
        self._prepare(instance, groups, action, using)()

    @classmethod
    def send_changes(cls, old, new, using, **signal_kwargs):
        """
        Send what became of a saved instance: as stored before, None if not, and now.

        Groups that it left get DELETE, with what they could see before, those
        that it stays in UPDATE, and those that it came to CREATE, in this order.
        """
        before = set(cls.group_names(old)) if old is not None else set()
        after = set(cls.group_names(new))
        self = cls()
        self.signal_kwargs = signal_kwargs
        self._prepare(old, before - after, DELETE, using)()
        self._prepare(new, before & after, UPDATE, using)()
        self._prepare(new, after - before, CREATE, using)()

    @classmethod
    def prepare_deletion(cls, old, using, **signal_kwargs):
        """
        Return a function that sends that an instance is deleted, to its groups.

        Groups and data are those of now, while what it is related to is there.
        """
        self = cls()
        self.signal_kwargs = signal_kwargs
        return self._prepare(old, set(cls.group_names(old)), DELETE, using)

    def _prepare(self, instance, groups, action, using):
        """Return a function that has groups hear of an instance upon the commit."""
        payload = self.serialize(instance, action) if groups else None
        message = self.encode(self.stream, payload) if payload else None

        def send_to_groups():
            for name in sorted(groups):
                # The change stands, even if a consumer that made it fails.
                Group(name).send(message, immediately=True)

        def send():
            if message is not None:
                # A layer that is away is logged and undoes nothing.
                transaction.on_commit(send_to_groups, using=using, robust=True)

        return send

    # Inbound.

    @classmethod
    def trigger_inbound(cls, message, **kwargs):
        """Do what a message asks for, if its user may."""
        self = cls()
        self.message = message
        self.kwargs = kwargs
        self.user = _get_user(message)
        try:
            action, pk, data = self.deserialize(message)
            self.run_action(action, pk, data)
        except (ObjectDoesNotExist, PermissionDenied, ValidationError) as error:
            self.reject(error)

    def deserialize(self, message):
        """
        Return (action, pk, data) of a message; raise ValidationError if it has none.

        ``data`` is a dict of values by the names of fields.
        """
        raise NotImplementedError(
            f"{type(self).__qualname__} must define deserialize()."
        )

    def has_permission(self, user, action, pk):
        """
        Return whether a user may do something with an instance.

        ``pk`` is a value of the primary key's type, None for CREATE.
        """
        raise NotImplementedError(
            f"{type(self).__qualname__} must define has_permission()."
        )

    def reject(self, error):
        """Deal with an exception that says why something was refused: log it."""
        logger.warning(
            "Refused a change of %s on %r: %s",
            self.model._meta.label_lower,
            self.message.get("path"),
            error,
        )

    def run_action(self, action, pk, data):
        """
        Create, update or delete an instance, if the user may.

        Raise PermissionDenied, ValidationError for what makes no sense, and
        ObjectDoesNotExist.
        """
        if action not in (CREATE, UPDATE, DELETE):
            msg = "The action must be create, update or delete, not"
            raise ValidationError(f"{msg} {reprlib.repr(action)}.")
        # What the check sees is what is worked on.
        pk = None if action == CREATE else self.clean_pk(pk)
        if not self.has_permission(self.user, action, pk):
            what = "any" if action == CREATE else repr(pk)
            raise PermissionDenied(f"{self.user} may not {action} {what}.")
        if action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        else:
            self.delete(pk)

    def create(self, data):
        """Create an instance."""
        self.save(self.model(), data)

    def update(self, pk, data):
        """Set fields of the instance that has a primary key."""
        using = router.db_for_write(self.model)
        rows = self.model._default_manager.using(using)
        locks = connections[using].features.has_select_for_update
        with transaction.atomic(using=using) if locks else nullcontext():
            rows = rows.select_for_update() if locks else rows
            self.save(rows.get(pk=pk), data)

    def delete(self, pk):
        """Delete the instance that has a primary key."""
        using = router.db_for_write(self.model)
        self.model._default_manager.using(using).get(pk=pk).delete()

    def save(self, instance, data):
        """Validate and save an instance with the values that may be set."""
        fields = {field.name: field for field in self.get_writable_fields()}
        for name in fields.keys() & data.keys():
            field = fields[name]
            setattr(instance, field.attname, _clean(field, data[name]))
        others = [f.name for f in instance._meta.fields if f.name not in fields]
        instance.full_clean(exclude=others)
        instance.save()

    def clean_pk(self, pk):
        """Return a primary key in its type; raise ValidationError if it is none."""
        if pk is None or isinstance(pk, (dict, list)):
            raise ValidationError(f"{reprlib.repr(pk)} is no primary key.")
        return _clean(self.model._meta.pk, pk)

    # Fields.

    @classmethod
    def has_field(cls, name):
        """Return whether a field belongs to the binding."""
        if cls.fields is None:
            return name not in cls.exclude
        return ALL_FIELDS in (cls.fields, *cls.fields) or name in cls.fields

    @classmethod
    def get_writable_fields(cls):
        """
        Return the fields that may be set: no key, no file, none not editable.
        """
        return [
            field
            for field in cls.model._meta.concrete_fields
            if cls.has_field(field.name)
            and field.editable
            and not field.primary_key
            and not isinstance(field, FileField)
        ]


def _clean(field, value):
    """Return a value in a field's type; raise ValidationError if it is none."""
    if value is None and not field.null:
        # Where a field may be blank, full_clean() would not look.
        raise ValidationError(f"{field.name}: {field.error_messages['null']}")
    try:
        return field.to_python(value)
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise ValidationError(f"{field.name}: {error}") from error


def _get_user(message):
    """Return the user of a message, AnonymousUser if it has none."""
    if hasattr(message, "user") or not apps.is_installed("django.contrib.auth"):
        return getattr(message, "user", None)
    from django.contrib.auth.models import AnonymousUser

    return AnonymousUser()
