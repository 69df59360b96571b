"""Test cases whose channel layers are in memory, new for each test."""

import sys

from django.channels import DEFAULT_CHANNEL_LAYER
from django.test import TestCase, TransactionTestCase

from .assertions import MessageAssertions
from .layers import get_test_layer, layers_in_memory, name_of, take_message


class ChannelTestCaseMixin(MessageAssertions):
    """
    Gives each test new layers, in memory, for the aliases that it names.

    Nothing leaves the process, nothing of another test is seen, and no server is
    needed, whatever CHANNEL_LAYERS has. Mix it into a subclass of SimpleTestCase.
    """

    test_channel_aliases = [DEFAULT_CHANNEL_LAYER]

    @classmethod
    def setUpClass(cls):
        # What setUpTestData() sends is nobody's, but leaves the process neither.
        aliases = cls.test_channel_aliases
        cls.enterClassContext(layers_in_memory(aliases, configured_only=True))
        super().setUpClass()

    def get_next_message(self, channel, alias=DEFAULT_CHANNEL_LAYER, require=False):
        """
        Take the next Message from a channel, None if nothing waits there.

        With ``require``, fail then.
        """
        message = take_message(get_test_layer(alias), name_of(channel))
        if message is None and require:
            self.fail(f"Expected a message on channel {channel}, got none.")
        return message

    def _setup_and_call(self, result, debug=False):
        layers = layers_in_memory(self.test_channel_aliases)
        try:
            layers.__enter__()
        except Exception:
            if debug:
                raise
            result.addError(self, sys.exc_info())
            return
        try:
            super()._setup_and_call(result, debug)
        finally:
            layers.__exit__(None, None, None)


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """A TestCase with channel layers in memory. See ChannelTestCaseMixin."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """A TransactionTestCase with channel layers in memory."""
