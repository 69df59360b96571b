"""
The conformance suite for channel layers, whoever wrote them.

A layer fulfills the contract if a test class such as this one passes::

    from django.test import SimpleTestCase
    from django.test.channel_layers import ChannelLayerConformanceTests


    class MyLayerTests(ChannelLayerConformanceTests, SimpleTestCase):
        layer_class = MyChannelLayer

Override get_layer() if a layer needs more than the four options of every layer,
and pass_time() if it has a clock that a test can set. What a layer does not have
by its attributes is skipped. Each test cites the requirements of the channel
layer specification, specs/channel-layers.rst, that it proves.

This module is provisional in the sense of PEP 411, as all of django.channels is.
"""

from .layer_conformance.base import cites
from .layer_conformance.capacity import CapacityTests, ClosingTests, ExpiryTests
from .layer_conformance.care import CareTests, StatisticsTests
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
