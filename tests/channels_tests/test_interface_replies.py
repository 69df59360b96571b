import asyncio
import gc
import weakref

from django.channels.interface.replies import ReplyInbox
from django.test import SimpleTestCase

from .layers import SpanningLayer, make_layer
from .utils import TIMEOUT


class ReplyInboxTests(SimpleTestCase):
    def setUp(self):
        self.layer = make_layer(layer_class=SpanningLayer)
        self.addCleanup(self.layer.close)
        self.inbox = ReplyInbox(self.layer)

    async def open_and_close(self):
        name = await self.inbox.open(lambda message: None)
        await self.inbox.close(name)
        return weakref.ref(asyncio.get_running_loop())

    def test_a_loop_that_ended_is_not_kept(self):
        reference = asyncio.run(self.open_and_close())
        gc.collect()
        self.assertIsNone(reference())

    def test_replies_to_a_loop_that_ended_are_dropped(self):
        async def leave_behind():
            return await self.inbox.open(self.fail)

        name = asyncio.run(leave_behind())
        mailbox, _ = self.inbox._open[name]
        for _ in range(3):
            mailbox.put(self.fail, {})
        self.assertEqual(len(mailbox._items), 0)
        asyncio.run(self.inbox.close(name))

    async def test_a_connection_that_fails_keeps_no_reply_from_others(self):
        replies = asyncio.Queue()

        def fail(message):
            raise ValueError("broken")

        names = await self.inbox.open(fail), await self.inbox.open(replies.put_nowait)
        with self.assertLogs("django.channels.interface", "ERROR") as logs:
            await self.layer.asend_batch([(name, {"n": 1}) for name in names])
            reply = await asyncio.wait_for(replies.get(), TIMEOUT)
        self.assertEqual(reply, {"n": 1})
        self.assertIn("ValueError: broken", logs.output[0])
        for name in names:
            await self.inbox.close(name)
