"""
The channel layers of tests: in memory, and aware of what was sent.

In: aliases of CHANNEL_LAYERS, from cases.py and live.py. Out: layers in the place
of theirs, until the test is over.
"""

import copy
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass

from django.channels import Channel, channel_layers
from django.channels.backends.memory import MemoryChannelLayer
from django.channels.layers import ChannelLayerWrapper
from django.channels.message import Message
from django.channels.names import inbox_of
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

# What every layer can be configured with; a test's layer has the same.
COMMON_OPTIONS = {"expiry", "group_expiry", "capacity", "channel_capacity"}


@dataclass(frozen=True)
class SentMessage:
    """A message that was sent: ``name`` is that of a channel or of a group."""

    name: str
    content: dict
    to_group: bool = False

    def __str__(self):
        return f"{self.content!r} to {describe(self.name, self.to_group)}"


def describe(name, to_group):
    """Return in words where messages go."""
    return f"{'group' if to_group else 'channel'} {name!r}"


class RecordingChannelLayer(MemoryChannelLayer):
    """
    A memory layer with the messages that were sent, as SentMessages.

    Whoever receives one finds it there.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.sent_messages = []

    def send(self, channel, message):
        with self._lock:
            super().send(channel, message)
            self._record(channel, message)

    def send_batch(self, messages):
        messages = list(messages)
        with self._lock:
            errors = super().send_batch(messages)
            for (channel, message), error in zip(messages, errors):
                if error is None:
                    self._record(channel, message)
        return errors

    def send_group(self, group, message):
        with self._lock:
            super().send_group(group, message)
            self._record(group, message, to_group=True)

    def flush(self):
        with self._lock:
            super().flush()
            self.sent_messages.clear()

    def _record(self, name, message, to_group=False):
        sent = SentMessage(name, copy.deepcopy(message), to_group)
        self.sent_messages.append(sent)


def make_layer(alias):
    """
    Return a memory layer with the routing and the limits of an alias.

    Capacity and times are those of its TEST_CONFIG, of its CONFIG if it has none.
    Raise InvalidChannelLayerError if there is no such alias.
    """
    config = channel_layers.get_config(alias)
    options = config.get("TEST_CONFIG", config.get("CONFIG", {}))
    common = {name: options[name] for name in COMMON_OPTIONS & options.keys()}
    return ChannelLayerWrapper(
        RecordingChannelLayer(**common), alias, config["ROUTING"]
    )


def check_aliases(aliases):
    """Raise TypeError for what is no list of aliases."""
    if isinstance(aliases, str) or not isinstance(aliases, Iterable):
        raise TypeError(f"aliases must be a list of aliases, not {aliases!r}.")


@contextmanager
def layers_in_memory(aliases, configured_only=False):
    """
    Have the layers of some aliases be new ones in memory.

    With ``configured_only``, aliases that are not in CHANNEL_LAYERS are left out;
    otherwise raise InvalidChannelLayerError for them. Raise TypeError for a str.
    """
    check_aliases(aliases)

    def make_layers(configured_only):
        return {
            alias: make_layer(alias)
            for alias in aliases
            if alias in channel_layers or not configured_only
        }

    def replace_again(*, setting, **kwargs):
        # A test that overrides the setting does not want the layers it names.
        if setting == "CHANNEL_LAYERS":
            for alias, layer in make_layers(configured_only=True).items():
                channel_layers.set(alias, layer)

    layers = make_layers(configured_only)
    old = {alias: channel_layers.set(alias, layer) for alias, layer in layers.items()}
    setting_changed.connect(replace_again)
    try:
        yield
    finally:
        setting_changed.disconnect(replace_again)
        for alias in aliases:
            if (used := channel_layers.set(alias, old.get(alias))) is not None:
                used.close()


def get_test_layer(alias):
    """
    Return the layer of an alias, which knows what was sent.

    Raise ImproperlyConfigured if it is not one of a test.
    """
    layer = channel_layers[alias]
    if not hasattr(layer, "sent_messages"):
        raise ImproperlyConfigured(
            f"The channel layer {alias!r} is none of this test, {layer} is used: name "
            f"it in test_channel_aliases of a ChannelTestCase or one of the others."
        )
    return layer


def name_of(destination, destination_class=Channel):
    """Return the name of a Channel, or of a Group; a name is what it is."""
    is_object = isinstance(destination, destination_class)
    return destination.name if is_object else destination


def take_message(layer, channel):
    """
    Return the next Message on a channel, None if nothing waits there.

    Raise TypeError for what cannot be received from.
    """
    inbox = inbox_of(channel) if isinstance(channel, str) else None
    if not inbox or inbox == channel:
        name, content = layer.receive([channel])
        return None if name is None else Message(content, name, layer)
    # An inbox is received from as a whole: what is for others goes back.
    pairs, found = layer.receive_batch([inbox], layer.get_capacity(inbox)), None
    for position, (name, content) in enumerate(pairs):
        if name == channel:
            found = Message(content, name, layer)
            del pairs[position]
            break
    layer.put_back(pairs)
    return found
