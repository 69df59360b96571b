"""
The channel layer of one process: every thread and event loop in it.

One lock guards everything and is held for microseconds. What is sent is checked
and copied before it is taken. Both flavors share every line but the waiting.
"""

import threading
import time

from django.channels.exceptions import ChannelFull, MessageTooLarge
from django.channels.names import (
    inbox_of,
    new_name,
    queue_of,
    validate_channel,
    validate_group,
    validate_receivable,
)

from . import options
from .base import BaseChannelLayer
from .memory_store.store import Store
from .selections import Selections
from .values import copy_message
from .waiters import LoopWaiter, ThreadWaiter


class MemoryChannelLayer(BaseChannelLayer):
    """
    A channel layer for the threads and event loops of one process.

    A forked child starts with an empty one.
    """

    supports_sync = True
    supports_async = True
    spans_processes = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._reset()

    def _reset(self):
        # Reentrant: a signal handler or a finalizer may send, too.
        self._lock = threading.RLock()
        self._store = Store(self.expiry, self.group_expiry, self.get_capacity)
        self._selections = Selections()

    def after_fork(self):
        super().after_fork()
        self._reset()

    # Sending and receiving.

    def send(self, channel, message):
        channel = validate_channel(channel)
        message = copy_message(message, self.max_message_size)
        with self._lock:
            self._store.send(channel, message)

    async def asend(self, channel, message):
        self.send(channel, message)

    def send_batch(self, messages):
        messages = options.check_batch(messages, self.max_message_size)
        full = {}
        with self._lock:
            return [self._send_item_locked(*item, full) for item in messages]

    async def asend_batch(self, messages):
        return self.send_batch(messages)

    def _send_item_locked(self, channel, message, full):
        if isinstance(message, MessageTooLarge):
            return message
        name = queue_of(channel)
        if name in full and not self._store.is_closed(channel):
            self._store.refuse(channel)
            return full[name]
        try:
            self._store.send(channel, message)
        except ChannelFull as error:
            # It is returned: with its traceback, it would keep all that led here.
            full[name] = error.with_traceback(None)
            return error

    def receive(self, channels, block=False, timeout=None):
        selection = self._selections.get(channels, block, timeout)
        with self._lock:
            pair = self._store.take(selection)
        if pair is None and block:
            pairs = self._wait(selection, 1, timeout)
            return pairs[0] if pairs else (None, None)
        return pair or (None, None)

    async def areceive(self, channels, block=False, timeout=None):
        selection = self._selections.get(channels, block, timeout)
        with self._lock:
            pair = self._store.take(selection)
        if pair is None and block:
            pairs = await self._await(selection, 1, timeout)
            return pairs[0] if pairs else (None, None)
        return pair or (None, None)

    def receive_batch(self, channels, limit, block=False, timeout=None):
        selection = self._selections.get(channels, block, timeout)
        options.check_limit(limit)
        with self._lock:
            pairs = self._store.take_many(selection, limit)
        if not pairs and block:
            return self._wait(selection, limit, timeout)
        return pairs

    async def areceive_batch(self, channels, limit, block=False, timeout=None):
        selection = self._selections.get(channels, block, timeout)
        options.check_limit(limit)
        with self._lock:
            pairs = self._store.take_many(selection, limit)
        if not pairs and block:
            return await self._await(selection, limit, timeout)
        return pairs

    def put_back(self, pairs):
        """
        See BaseChannelLayer.put_back().

        The messages go to the head, whatever the capacity is; their time begins
        anew, but does not outlast that of what is behind them.
        """
        pairs = [(c, copy_message(m, self.max_message_size)) for c, m in pairs]
        with self._lock:
            for channel, message in reversed(pairs):
                self._store.put_back(channel, message)
        return [None] * len(pairs)

    async def aput_back(self, pairs):
        return self.put_back(pairs)

    # Waiting.

    def _wait(self, selection, limit, timeout):
        until = None if timeout is None else time.monotonic() + timeout
        waiter = ThreadWaiter(self._store.closings)
        try:
            while True:
                pairs, left = self._take_or_enlist(waiter, selection, limit, until)
                if pairs or left == 0:
                    return pairs
                waiter.wait(left)
        finally:
            with self._lock:
                self._store.release(waiter)

    async def _await(self, selection, limit, timeout):
        until = None if timeout is None else time.monotonic() + timeout
        waiter = LoopWaiter(self._store.closings)
        try:
            while True:
                pairs, left = self._take_or_enlist(waiter, selection, limit, until)
                if pairs or left == 0:
                    return pairs
                await waiter.wait(left)
        finally:
            with self._lock:
                self._store.release(waiter)

    def _take_or_enlist(self, waiter, selection, limit, until):
        """
        Return (pairs, None), or ([], the seconds to wait, None without end).

        Both under one lock: what comes after the look wakes the waiter.
        """
        with self._lock:
            pairs = self._store.take_many(selection, limit)
            self._store.release(waiter)
            left = None if until is None else max(until - time.monotonic(), 0)
            if waiter.closings != self._store.closings:
                left = 0
            if not pairs and left != 0:
                self._store.enlist(waiter, selection.names)
            return pairs, left

    # Names.

    def new_channel(self, pattern):
        name = new_name(pattern)
        if inbox := inbox_of(name):
            with self._lock:
                self._store.queue(inbox).add_local(name)
        return name

    async def anew_channel(self, pattern):
        return self.new_channel(pattern)

    def close_channel(self, name):
        name = validate_channel(name)
        if "!" not in name and "?" not in name:
            raise TypeError(
                f"{name!r} is a normal channel; only names with a ? or a ! are closed."
            )
        with self._lock:
            self._store.groups.discard_all(name)
            if queue := self._store.find(queue_of(name)):
                queue.close_local(name)
                if queue.name == name:
                    self._store.forget(queue)

    async def aclose_channel(self, name):
        self.close_channel(name)

    # Groups.

    def group_add(self, group, channel):
        group = validate_group(group)
        channel = validate_channel(channel)
        with self._lock:
            self._store.group_add(group, channel)

    async def agroup_add(self, group, channel):
        self.group_add(group, channel)

    def group_discard(self, group, channel):
        group = validate_group(group)
        channel = validate_channel(channel)
        with self._lock:
            self._store.groups.discard(group, channel)

    async def agroup_discard(self, group, channel):
        self.group_discard(group, channel)

    def send_group(self, group, message):
        group = validate_group(group)
        message = copy_message(message, self.max_message_size)
        with self._lock:
            self._store.send_group(group, message)

    async def asend_group(self, group, message):
        self.send_group(group, message)

    # Care.

    def statistics(self, channel=None):
        if channel is not None:
            inbox = isinstance(channel, str) and channel.endswith("!")
            check = validate_receivable if inbox else validate_channel
            channel = queue_of(check(channel))
        with self._lock:
            return self._store.statistics(channel)

    async def astatistics(self, channel=None):
        return self.statistics(channel)

    def queues(self):
        with self._lock:
            return self._store.queues()

    async def aqueues(self):
        return self.queues()

    def groups(self):
        with self._lock:
            return self._store.group_sizes()

    async def agroups(self):
        return self.groups()

    def flush(self):
        with self._lock:
            self._store.flush()

    async def aflush(self):
        self.flush()

    def close(self):
        with self._lock:
            self._store.end_waiting()

    async def aclose(self):
        self.close()
