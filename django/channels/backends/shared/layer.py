"""
The layer around a store: messages, members and readers of this process.

In: calls of both forms. Out: a Store's calls, with bytes for messages.
The sync form calls the store in the caller's thread; the async form in the
courier's, but on the loop what the store can do at once. See inboxes.py for groups
and bell.py for waiting.
"""

from asgiref.sync import sync_to_async

from django.channels.exceptions import LayerUnavailable
from django.channels.names import (
    inbox_of,
    queue_of,
    validate_channel,
    validate_group,
    validate_receivable,
)

from .. import options
from ..base import BaseChannelLayer
from ..values import copy_message
from .closing import Closer
from .envelopes import ADD, DISCARD, FLUSH, GROUP, MESSAGE, Codec
from .owner import Owner
from .reader import Reader
from .sending import Batch, full_error


class SharedChannelLayer(BaseChannelLayer):
    """
    The base of the layers that span processes.

    A subclass defines make_store(), which returns a new Store and does not
    connect to anything yet.
    """

    supports_sync = True
    supports_async = True
    spans_processes = True

    def __init__(self, *args, symmetric_encryption_keys=None, **kwargs):
        super().__init__(*args, **kwargs)
        self._codec = Codec(symmetric_encryption_keys)
        self._set_up()

    def make_store(self):
        """Return a new Store, not yet connected."""
        raise NotImplementedError

    def _set_up(self):
        self._store = self.make_store()
        self._reader = Reader(self, self._store, self._codec)
        self._owner = Owner(self, self._store, self._reader.deliver)
        self._reader.set_owner(self._owner)
        self._courier = self._owner.courier
        self._closer = Closer(type(self).__name__, self._owner, self._reader)

    def after_fork(self):
        super().after_fork()
        self._store.leave()
        self._set_up()

    # Sending and receiving.

    def send(self, channel, message):
        queues = self._address(channel, message)
        if queues and not self._store.append(queues)[0]:
            raise full_error(channel, queues[0])

    async def asend(self, channel, message):
        queues = self._address(channel, message)
        if queues and not (await self._courier.send(queues))[0]:
            raise full_error(channel, queues[0])

    def send_batch(self, messages):
        batch = self._batch(options.check_batch(messages, self.max_message_size))
        if queues := batch.queues():
            batch.conclude(self._store.append(queues))
        return batch.results

    async def asend_batch(self, messages):
        batch = self._batch(options.check_batch(messages, self.max_message_size))
        if queues := batch.queues():
            batch.conclude(await self._courier.send(queues))
        return batch.results

    def _address(self, channel, message):
        """Return what Store.append() takes of a message, None if it is dropped."""
        channel = validate_channel(channel)
        message = copy_message(message, self.max_message_size)
        queue = inbox_of(channel)
        if queue is None:
            queue, target = channel, ""
        elif self._owner.refuses(queue, channel):
            return None
        else:
            target = channel
        payload = self._codec.encode(MESSAGE, target, message)
        return [(queue, self.get_capacity(queue), [payload])]

    def _batch(self, messages):
        return Batch(self, self._owner, self._codec, messages)

    def receive(self, channels, block=False, timeout=None):
        selection = self._reader.selections.get(channels, block, timeout)
        pairs = self._receive(selection, 1, block, timeout)
        return pairs[0] if pairs else (None, None)

    async def areceive(self, channels, block=False, timeout=None):
        selection = self._reader.selections.get(channels, block, timeout)
        pairs = await self._areceive(selection, 1, block, timeout)
        return pairs[0] if pairs else (None, None)

    def receive_batch(self, channels, limit, block=False, timeout=None):
        selection = self._reader.selections.get(channels, block, timeout)
        options.check_limit(limit)
        return self._receive(selection, limit, block, timeout)

    def _receive(self, selection, limit, block, timeout):
        if block:
            return self._reader.wait(selection, limit, timeout)
        return self._reader.take(selection, limit)

    async def areceive_batch(self, channels, limit, block=False, timeout=None):
        selection = self._reader.selections.get(channels, block, timeout)
        options.check_limit(limit)
        return await self._areceive(selection, limit, block, timeout)

    async def _areceive(self, selection, limit, block, timeout):
        if block:
            return await self._reader.await_(selection, limit, timeout)
        take, undo = self._reader.take, self._reader.put_back
        return await self._courier.call(take, selection, limit, undo=undo)

    def put_back(self, pairs):
        """See BaseChannelLayer.put_back(). The messages go to the head."""
        pairs = list(pairs)
        self._reader.put_back(pairs)
        return [None] * len(pairs)

    async def aput_back(self, pairs):
        return await self._courier.call(self.put_back, pairs)

    # Names.

    def new_channel(self, pattern):
        return self._owner.new_channel(pattern)

    async def anew_channel(self, pattern):
        return self._owner.new_channel(pattern)

    def close_channel(self, name):
        name = validate_channel(name)
        queue = queue_of(name)
        if queue == name:
            if "?" not in name:
                raise TypeError(
                    f"{name!r} is a normal channel; only names with a ? or a ! are "
                    "closed."
                )
            self._store.drop(name)
            return
        inbox = self._owner.inbox(queue)
        if not (inbox.is_made() or inbox.claimed) and self._store.is_foreign(queue):
            raise TypeError(
                f"{name!r} is of another process, which alone can close it."
            )
        if not self._closer.close(inbox, [name]) and not inbox.is_made():
            raise LayerUnavailable(f"What waits for {name!r} could not be dropped.")

    async def aclose_channel(self, name):
        inbox = self._owner.find(queue_of(validate_channel(name)))
        if inbox is None or not inbox.is_made():
            return await self._courier.call(self.close_channel, name)
        await self._closer.aclose(inbox, name)

    # Groups.

    def group_add(self, group, channel):
        group = validate_group(group)
        channel = validate_channel(channel)
        name = inbox_of(channel)
        if name is None:
            capacity = self.get_capacity(channel)
            self._store.add(group, channel, capacity, self.group_expiry)
            return
        inbox = self._owner.find(name)
        if inbox is not None and inbox.is_made():
            if inbox.is_closed(channel):
                return
            self._owner.claim(inbox)
        control = self._codec.encode(ADD, group, {"channel": channel})
        self._store.register(group, name, self.get_capacity(name), control)

    async def agroup_add(self, group, channel):
        await self._courier.call(self.group_add, group, channel)

    def group_discard(self, group, channel):
        group = validate_group(group)
        channel = validate_channel(channel)
        name = inbox_of(channel)
        if name is None:
            self._store.remove(group, channel)
        else:
            control = self._codec.encode(DISCARD, group, {"channel": channel})
            self._store.post(group, name, control)

    async def agroup_discard(self, group, channel):
        await self._courier.call(self.group_discard, group, channel)

    def send_group(self, group, message):
        group = validate_group(group)
        message = copy_message(message, self.max_message_size)
        self._store.send_group(group, self._codec.encode(GROUP, group, message))

    async def asend_group(self, group, message):
        group = validate_group(group)
        message = copy_message(message, self.max_message_size)
        payload = self._codec.encode(GROUP, group, message)
        await self._courier.send_group(group, payload)

    # Care.

    def statistics(self, channel=None):
        if channel is not None:
            inbox = isinstance(channel, str) and channel.endswith("!")
            check = validate_receivable if inbox else validate_channel
            channel = queue_of(check(channel))
        self._owner.push_changes()
        return self._owner.complete(self._store.statistics(channel), channel)

    async def astatistics(self, channel=None):
        return await self._courier.call(self.statistics, channel)

    def queues(self):
        self._owner.push_changes()
        here = self._owner.bell.counts()
        queues = {}
        for name, (statistics, readers) in self._store.queues().items():
            queues[name] = self._owner.complete(statistics, name)
            # The store may leave it to this process who waits for its inboxes.
            queues[name]["readers"] = max(readers, here.get(name, 0))
        return queues

    async def aqueues(self):
        return await self._courier.call(self.queues)

    def groups(self):
        return {
            group: {"inboxes": inboxes, "channels": channels}
            for group, (inboxes, channels) in self._store.groups().items()
        }

    async def agroups(self):
        return await self._courier.call(self.groups)

    def describe(self):
        return [*super().describe(), *self._store.describe()]

    async def adescribe(self):
        return await self._courier.call(self.describe)

    def flush(self):
        self._owner.push_changes()
        self._owner.flush()
        self._store.flush(self._codec.encode(FLUSH, "", {}))

    async def aflush(self):
        await self._courier.call(self.flush)

    def close(self):
        self._owner.stop()
        self._store.close()

    async def aclose(self):
        # Not by the courier: it is ended with the rest.
        await sync_to_async(self.close, thread_sensitive=False)()
