"""What becomes of layers when a process forks."""

import os
from unittest import mock, skipUnless

from django.channels.backends import forks
from django.channels.backends.memory import MemoryChannelLayer
from django.test import SimpleTestCase
from django.test.layer_conformance import children

from .utils import TIMEOUT


class BrokenLayer(MemoryChannelLayer):
    def after_fork(self):
        raise ValueError("It cannot be made again.")


@skipUnless(hasattr(os, "fork"), "Processes are not forked here.")
class ForkTests(SimpleTestCase):
    def test_a_layer_that_cannot_be_reset_leaves_the_others_alone(self):
        broken = BrokenLayer()
        layers = [MemoryChannelLayer() for _ in range(10)]
        for layer in layers:
            layer.send("a", {})

        def count():
            pending = [layer.statistics()["messages_pending"] for layer in layers]
            return sum(pending), forks.logger.exception.call_args.args

        with mock.patch.object(forks, "logger"):
            pending, logged = children.fork(count).result(TIMEOUT)
        self.assertEqual(pending, 0)
        self.assertEqual(logged[1], type(broken).__name__)
