"""
The channel layer contract: what senders and readers may rely on.

Messages come in from channel.py, the interface and anybody's code, and go out to
workers, reply readers and tests. specs/channel-layers.rst says the same in
numbered requirements; django.test.channel_layers tests a layer against them.
"""

from asgiref.sync import sync_to_async

from django.channels.exceptions import ChannelFull, MessageTooLarge
from django.channels.names import new_name

from . import options
from .batches import Batch
from .bridges import BridgeLoop, receive_in_thread
from .forks import reset_in_child


class BaseChannelLayer(options.LayerOptions):
    """
    The base of every channel layer.

    A layer defines the sync methods, the async ones or both, and says so by
    supports_sync and supports_async; the missing form of each method runs the
    other (see bridges.py). It calls super().__init__() with the four options,
    and the helpers of options.py and values.py on what it is given.
    """

    # Are the sync methods (send) defined by the layer itself?
    supports_sync = False
    # Are the async methods (asend) defined by the layer itself?
    supports_async = False
    # Do other processes receive what this one sends?
    spans_processes = False
    # Which optional parts of the contract are there?
    extensions = ("groups", "flush", "statistics")

    # The largest message, in units of its size: characters, bytes and items.
    # What is 1 MB as JSON always fits.
    max_message_size = 2 * 1024 * 1024

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(
        self, expiry=60, group_expiry=86400, capacity=100, channel_capacity=None
    ):
        if not (self.supports_sync or self.supports_async):
            raise TypeError(
                f"{type(self).__name__} must set supports_sync or supports_async."
            )
        super().__init__(expiry, group_expiry, capacity, channel_capacity)
        self._bridge = BridgeLoop(type(self).__name__)
        self._gap_functions = []
        reset_in_child(self)

    # Sending and receiving.

    def send(self, channel, message):
        """
        Put a message onto a channel; never wait for room or a reader.

        The message is copied: what the caller does with it later is not seen.
        Raise ChannelFull, MessageTooLarge or TypeError, and then store nothing.
        """
        return self._run_async("asend", channel, message)

    async def asend(self, channel, message):
        """See send()."""
        return await self._run_sync("send", channel, message)

    def send_batch(self, messages):
        """
        Send (channel, message) pairs in order; return None or the error of each.

        Raise TypeError before anything is stored if one of them is invalid.
        ChannelFull and MessageTooLarge are returned. After a ChannelFull, later
        messages for the same channel or inbox are refused too: order holds.
        """
        if not self.supports_sync:
            return self._run_async("asend_batch", messages)
        batch = Batch(options.check_batch(messages, self.max_message_size))
        for channel, message in batch:
            try:
                self.send(channel, message)
                batch.sent()
            except ChannelFull as error:
                batch.full(channel, error)
        for channel in batch.untried:
            self.count_refused(channel)
        return batch.results

    async def asend_batch(self, messages):
        """See send_batch()."""
        if not self.supports_async:
            return await self._run_sync("send_batch", messages)
        batch = Batch(options.check_batch(messages, self.max_message_size))
        for channel, message in batch:
            try:
                await self.asend(channel, message)
                batch.sent()
            except ChannelFull as error:
                batch.full(channel, error)
        for channel in batch.untried:
            await self.acount_refused(channel)
        return batch.results

    def count_refused(self, channel):
        """
        Count a message of a batch that was refused because one before it was.

        A layer with statistics that leaves batches to this class defines it, or
        acount_refused(), in the form that it has: send() is not called for that
        message. This one does nothing.
        """

    async def acount_refused(self, channel):
        """See count_refused()."""

    def receive(self, channels, block=False, timeout=None):
        """
        Return (channel, message) from one of the channels, or (None, None).

        Each message is returned at most once, to one reader. Messages of one
        sender on a single-reader or process-specific channel come in order. A
        busy channel does not starve another one. With ``block``, wait for a
        message, up to ``timeout`` seconds or until the layer is closed.

        A process-specific channel is received by its inbox: ``["prefix!"]``.
        """
        if self.supports_sync:
            self._missing("receive")
        pairs = self.receive_batch(channels, 1, block, timeout)
        return pairs[0] if pairs else (None, None)

    async def areceive(self, channels, block=False, timeout=None):
        """See receive(). A cancelled wait loses no message."""
        if self.supports_async:
            self._missing("areceive")
        pairs = await self.areceive_batch(channels, 1, block, timeout)
        return pairs[0] if pairs else (None, None)

    def receive_batch(self, channels, limit, block=False, timeout=None):
        """
        Return a list of up to ``limit`` (channel, message) pairs, maybe empty.

        With ``block``, wait as receive() does, for the first message only.
        """
        names = options.check_channels(channels)
        options.check_wait(block, timeout)
        options.check_limit(limit)
        if not self.supports_sync:
            return self._bridge.receive(
                lambda: self.areceive_batch(names, limit, block, timeout),
                self.aput_back,
            )
        # One only: an error or an interrupt in a second call would lose it.
        pair = self.receive(names, block, timeout)
        return [pair] if pair[0] is not None else []

    async def areceive_batch(self, channels, limit, block=False, timeout=None):
        """See receive_batch(). A cancelled wait loses no message."""
        names = options.check_channels(channels)
        options.check_wait(block, timeout)
        options.check_limit(limit)
        if self.supports_async:
            pair = await self.areceive(names, block, timeout)
            return [pair] if pair[0] is not None else []
        return await receive_in_thread(self, names, limit, block, timeout)

    def put_back(self, pairs):
        """
        Return messages that were received and not worked on.

        The result is that of send_batch(). A layer that can puts them where
        they were; this one sends them again, behind what came since.
        """
        if not self.supports_sync:
            return self._run_async("aput_back", pairs)
        return self.send_batch(pairs)

    async def aput_back(self, pairs):
        """See put_back()."""
        if not self.supports_async:
            return await self._run_sync("put_back", pairs)
        return await self.asend_batch(pairs)

    # Names.

    def new_channel(self, pattern):
        """
        Return a fresh name that starts with ``pattern``, which ends in ? or !.

        Names are never given twice. Raise TypeError for any other pattern.
        """
        if not self.supports_sync:
            return self._run_async("anew_channel", pattern)
        return new_name(pattern)

    async def anew_channel(self, pattern):
        """See new_channel()."""
        if not self.supports_async:
            return await self._run_sync("new_channel", pattern)
        return new_name(pattern)

    def close_channel(self, name):
        """
        Drop the messages and the memberships of a channel with a ? or a !.

        What is sent to a closed name of new_channel("prefix!") later is dropped.
        Raise TypeError for a normal channel, or a name of another process.
        """
        return self._run_async("aclose_channel", name)

    async def aclose_channel(self, name):
        """See close_channel()."""
        return await self._run_sync("close_channel", name)

    # Groups.

    def group_add(self, group, channel):
        """
        Make a channel a member of a group; renew its expiry if it is one.

        Every send_group() that begins after this returns reaches the channel.
        """
        return self._run_async("agroup_add", group, channel)

    async def agroup_add(self, group, channel):
        """See group_add()."""
        return await self._run_sync("group_add", group, channel)

    def group_discard(self, group, channel):
        """End the membership of a channel, if it is a member."""
        return self._run_async("agroup_discard", group, channel)

    async def agroup_discard(self, group, channel):
        """See group_discard()."""
        return await self._run_sync("group_discard", group, channel)

    def send_group(self, group, message):
        """
        Send a message to all members of a group, each of which gets a copy.

        Members that are full miss it; the statistics count them. Raise
        MessageTooLarge or TypeError, and then store nothing.
        """
        return self._run_async("asend_group", group, message)

    async def asend_group(self, group, message):
        """See send_group()."""
        return await self._run_sync("send_group", group, message)

    # Care.

    def statistics(self, channel=None):
        """
        Return the counters of a channel or an inbox, or of the whole layer.

        messages_count is always delivered_count + dropped_count + expired_count
        + messages_pending. Refused sends are in channel_full_count only. A group
        message counts once per member, at the latest when the first one gets it.
        """
        return self._run_async("astatistics", channel)

    async def astatistics(self, channel=None):
        """See statistics()."""
        return await self._run_sync("statistics", channel)

    def queues(self):
        """
        Return {name: statistics} of the channels and inboxes that are known.

        To the keys of statistics() comes "readers", how many wait there now:
        calls, or processes on a layer that spans those.
        """
        return self._run_async("aqueues")

    async def aqueues(self):
        """See queues()."""
        return await self._run_sync("queues")

    def groups(self):
        """
        Return {group: {"inboxes": n, "channels": n}} of groups with members.

        How many inboxes have members, and how many members are plain channels.
        """
        return self._run_async("agroups")

    async def agroups(self):
        """See groups()."""
        return await self._run_sync("groups")

    def describe(self):
        """Return lines of text that tell a human how the layer is doing."""
        if not self.supports_sync:
            return self._run_async("adescribe")
        return self._describe(self.statistics())

    async def adescribe(self):
        """See describe()."""
        if not self.supports_async:
            return await self._run_sync("describe")
        return self._describe(await self.astatistics())

    def check(self, reach=False):
        """
        Return what is wrong as a list of messages of django.core.checks.

        With ``reach``, ask the store, or raise LayerUnavailable, too.
        """
        if not self.supports_sync:
            return self._run_async("acheck", reach)
        if reach:
            self.receive([new_name("check?")])
        return []

    async def acheck(self, reach=False):
        """See check()."""
        if not self.supports_async:
            return await self._run_sync("check", reach)
        if reach:
            await self.areceive([new_name("check?")])
        return []

    def flush(self):
        """Drop all messages and groups; names of new_channel() stay open."""
        return self._run_async("aflush")

    async def aflush(self):
        """See flush()."""
        return await self._run_sync("flush")

    def close(self):
        """
        End waiting receives and release connections and threads.

        Messages and groups stay. Closing twice is closing once, and using the
        layer opens it again.
        """
        if not self.supports_sync:
            self._run_async("aclose")
            self._bridge.stop()

    async def aclose(self):
        """See close()."""
        if not self.supports_async:
            await self._run_sync("close")

    def on_gap(self, function):
        """Have ``function()`` called when the store may have lost messages."""
        self._gap_functions.append(function)

    def gap(self):
        """Call what on_gap() was given; a layer does so in a thread of its own."""
        for function in self._gap_functions:
            function()

    def after_fork(self):
        """Replace locks, threads and connections in a forked child."""
        self._bridge = BridgeLoop(type(self).__name__)

    # What is gone.

    def receive_many(self, channels, block=False):
        """Raise TypeError: this older name of receive() is gone."""
        raise TypeError("receive_many() is gone. Use receive().")

    def group_channels(self, group):
        """Raise TypeError: a group does not list its members any more."""
        raise TypeError(
            "group_channels() is gone: no process knows all members of a group. Use "
            "send_group() to reach them."
        )

    # Helpers.

    def _describe(self, statistics):
        head = (
            f"{type(self).__name__}: expiry {self.expiry} s, group expiry "
            f"{self.group_expiry} s, capacity {self.capacity}"
        )
        return [head, *(f"{key}: {value}" for key, value in statistics.items())]

    def _missing(self, name):
        raise NotImplementedError(f"{type(self).__name__} does not define {name}().")

    def _run_async(self, name, *args):
        if self.supports_sync:
            self._missing(name[1:])
        return self._bridge.run(getattr(self, name), *args)

    async def _run_sync(self, name, *args):
        if self.supports_async:
            self._missing(f"a{name}")
        return await sync_to_async(getattr(self, name), thread_sensitive=False)(*args)
