"""An inbox whose members come faster than they are taken account of."""

import threading
from unittest import mock

from asgiref.sync import async_to_sync

from django.channels.backends.shared.reader import MOST_TAKES

from .test_shared_layer import WAIT, SharedLayerTestCase
from .utils import TIMEOUT


class BusyInboxTests(SharedLayerTestCase):
    def setUp(self):
        super().setUp()
        self.layer, self.other = self.make_layer(), self.make_layer()
        # Is it over, and was the store asked often enough?
        self.is_over, self.is_busy = threading.Event(), threading.Event()
        self.addCleanup(self.is_over.set)
        store = self.layer._store
        self.take, self.takes = store.take, 0
        patcher = mock.patch.object(store, "take", self.take_with_more)
        patcher.start()
        self.addCleanup(patcher.stop)

    def take_with_more(self, *args):
        """Take from the store, where a member is added to a group before each time."""
        if not self.is_over.is_set():
            self.other.group_add("group", "inbox!member")
            self.takes += 1
            if self.takes > MOST_TAKES:
                self.is_busy.set()
        return self.take(*args)

    def test_others_get_their_turn_with_it_and_its_message_arrives(self):
        received = self.in_thread(self.layer.receive, ["inbox!"], **WAIT)
        self.assertTrue(self.is_busy.wait(TIMEOUT))
        statistics = self.in_thread(self.layer.statistics)()
        self.assertEqual(statistics["messages_count"], 0)
        self.other.send("inbox!a", {"n": 1})
        self.assertEqual(received(), ("inbox!a", {"n": 1}))

    def test_who_does_not_wait_is_not_kept_by_it(self):
        received = self.in_thread(self.layer.receive, ["inbox!"])
        self.assertEqual(received(), (None, None))
        self.other.send("inbox!a", {"n": 1})
        received = self.in_thread(self.layer.receive_batch, ["a", "inbox!"], 2)
        self.assertEqual(received(), [("inbox!a", {"n": 1})])

    def test_who_waits_is_not_kept_by_it_for_longer(self):
        received = self.in_thread(self.layer.receive, ["inbox!"], True, 0.01)
        self.assertEqual(received(), (None, None))
        receive = async_to_sync(self.layer.areceive)
        received = self.in_thread(receive, ["inbox!"], True, 0.01)
        self.assertEqual(received(), (None, None))
