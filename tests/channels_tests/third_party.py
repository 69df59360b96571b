"""Layers with one form only, as somebody else might write them."""

import asyncio

from django.channels.backends.base import BaseChannelLayer
from django.channels.backends.memory import MemoryChannelLayer


class InnerLayer(MemoryChannelLayer):
    """A memory layer behind one that sends batches one by one."""

    def count_refused(self, channel):
        with self._lock:
            self._store.refuse(channel)


class SyncOnlyLayer(BaseChannelLayer):
    """A layer that defines the sync methods; a memory layer does the work."""

    supports_sync = True

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = InnerLayer(**options)

    def send(self, channel, message):
        self.inner.send(channel, message)

    def count_refused(self, channel):
        self.inner.count_refused(channel)

    def receive(self, channels, block=False, timeout=None):
        return self.inner.receive(channels, block, timeout)

    def put_back(self, pairs):
        return self.inner.put_back(pairs)

    def new_channel(self, pattern):
        return self.inner.new_channel(pattern)

    def close_channel(self, name):
        self.inner.close_channel(name)

    def group_add(self, group, channel):
        self.inner.group_add(group, channel)

    def group_discard(self, group, channel):
        self.inner.group_discard(group, channel)

    def send_group(self, group, message):
        self.inner.send_group(group, message)

    def statistics(self, channel=None):
        return self.inner.statistics(channel)

    def queues(self):
        return self.inner.queues()

    def groups(self):
        return self.inner.groups()

    def flush(self):
        self.inner.flush()

    def close(self):
        self.inner.close()


class AsyncOnlyLayer(BaseChannelLayer):
    """A layer that defines the async methods; a memory layer does the work."""

    supports_async = True

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = InnerLayer(**options)

    async def asend(self, channel, message):
        # A network would be here.
        await asyncio.sleep(0)
        self.inner.send(channel, message)

    async def acount_refused(self, channel):
        self.inner.count_refused(channel)

    async def areceive(self, channels, block=False, timeout=None):
        return await self.inner.areceive(channels, block, timeout)

    async def aput_back(self, pairs):
        return self.inner.put_back(pairs)

    async def anew_channel(self, pattern):
        return self.inner.new_channel(pattern)

    async def aclose_channel(self, name):
        self.inner.close_channel(name)

    async def agroup_add(self, group, channel):
        self.inner.group_add(group, channel)

    async def agroup_discard(self, group, channel):
        self.inner.group_discard(group, channel)

    async def asend_group(self, group, message):
        self.inner.send_group(group, message)

    async def astatistics(self, channel=None):
        return self.inner.statistics(channel)

    async def aqueues(self):
        return self.inner.queues()

    async def agroups(self):
        return self.inner.groups()

    async def aflush(self):
        self.inner.flush()

    async def aclose(self):
        self.inner.close()
