"""
The conformance suite for channel layers, whoever wrote them.

A layer fulfills the contract if a test class such as this one passes::

    from django.test import SimpleTestCase
    from django.test.channel_layers import ChannelLayerConformanceTests


    class MyLayerTests(ChannelLayerConformanceTests, SimpleTestCase):
        layer_class = MyChannelLayer

If the layer needs options, get_options() returns those of a layer whose store
nothing else uses, so that fresh interpreters can make the same layer; a layer
that is made otherwise overrides get_layer(). Override pass_time() if the layer
has a clock that a test can set, and stop_store(), start_store() and lose_data()
if it has a store that can go away. What a layer does not have by its attributes
is skipped. With ``callers = 8``, a class runs each test by eight callers at a
time on one layer, half of them in each form.

Each test cites the requirements of the channel layer specification,
specs/channel-layers.rst, that it proves. From the command line::

    python -m django.test.channel_layers path.to.MyChannelLayer --option capacity=5

This module is provisional in the sense of PEP 411, as all of django.channels is.
"""

import sys

from .layer_conformance.base import cites
from .layer_conformance.cancellation import CancellationTests
from .layer_conformance.capacity import CapacityTests, ClosingTests, ExpiryTests
from .layer_conformance.care import CareTests, StatisticsTests
from .layer_conformance.concurrency import ConcurrencyTests
from .layer_conformance.forms import both_forms
from .layer_conformance.groups import GroupTests
from .layer_conformance.names import NameTests
from .layer_conformance.outages import OutageTests
from .layer_conformance.processes import ForkTests
from .layer_conformance.receiving import ReceivingTests
from .layer_conformance.sending import SendingTests
from .layer_conformance.spanning import ProcessGroupTests, ProcessTests
from .layer_conformance.values import ValueTests
from .layer_conformance.waiting import EndOfWaitTests, WaitingTests

__all__ = ["ChannelLayerConformanceTests", "both_forms", "cites"]


class ChannelLayerConformanceTests(
    NameTests,
    ValueTests,
    SendingTests,
    ReceivingTests,
    WaitingTests,
    EndOfWaitTests,
    CancellationTests,
    ConcurrencyTests,
    CapacityTests,
    ExpiryTests,
    ClosingTests,
    GroupTests,
    StatisticsTests,
    CareTests,
    ForkTests,
    ProcessTests,
    ProcessGroupTests,
    OutageTests,
):
    """All tests of the contract, for a subclass of SimpleTestCase to mix in."""


if __name__ == "__main__":
    from .layer_conformance.command import main

    sys.exit(main(sys.argv[1:], ChannelLayerConformanceTests))
