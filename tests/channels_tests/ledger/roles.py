"""
What writers, readers and members of groups do, sync or async.

In: program.py, which starts a role in a thread. Out: calls of the layer, and a
journal of each. A role is written once, as a generator: it yields the name and
arguments of a call and is given its result or its exception (see drivers.py).
"""

import itertools
import threading

from django.channels.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge

from .content import is_whole, make_message

# Seconds that a reader waits before it notes that there was nothing.
WAIT_SECONDS = 0.2
# Seconds between two tries at a layer that is unavailable.
RETRY_SECONDS = 0.02
# Seconds that a flapping member is in no group.
FLAP_SECONDS = 0.001

# What a member is sent by its layer, after messages may have been lost.
GAP = {"type": "layer.gap"}

REFUSED = (ChannelFull, MessageTooLarge)


class Role:
    """The base of all roles: a name, a journal and whether to stop."""

    def __init__(self, name, journal, callers=1):
        self.name = name
        self.callers = callers
        self.stopping = threading.Event()
        self._journal = journal

    def note(self, event, *details):
        self._journal.note(event, *details)

    def lives(self):
        """Return one generator for each caller."""
        return [self.live(f"{self.name}.{n}") for n in range(self.callers)]

    def live(self, caller):
        """Yield the calls of one caller."""
        raise NotImplementedError

    def insist(self, *call):
        """Yield a call until the layer is available; return its result."""
        while True:
            try:
                return (yield call)
            except LayerUnavailable as error:
                self.note("unavailable", call[0], str(error))
                yield ("wait", RETRY_SECONDS)
                if self.stopping.is_set():
                    raise Stopped from error


class Stopped(Exception):
    """Raised in a role that is told to stop while the layer is unavailable."""


class Writer(Role):
    """
    Sends messages to channels and groups, in turns, until told to stop.

    Each caller numbers its messages. ``batch`` is how many it sends at a time,
    ``count`` how many each caller sends, ``pace`` the seconds between sends.
    """

    def __init__(
        self,
        name,
        journal,
        channels=(),
        groups=(),
        count=None,
        batch=1,
        pace=0,
        **options,
    ):
        super().__init__(name, journal, **options)
        self.targets = [("channel", channel) for channel in channels]
        self.targets += [("group", group) for group in groups]
        self.count = count
        self.batch = batch
        self.pace = pace

    def live(self, caller):
        numbers = itertools.count() if self.count is None else iter(range(self.count))
        targets = itertools.cycle(self.targets)
        while not self.stopping.is_set():
            due = list(itertools.islice(numbers, self.batch))
            if not due:
                break
            kind, name = next(targets)
            messages = []
            for number in due:
                self.note("intent", f"{caller}/{number}", kind, name, caller, number)
                messages.append(make_message(f"{caller}/{number}"))
            if kind == "group":
                yield from self.send_group(name, messages)
            else:
                yield from self.send(name, messages)
            # With 0 as well: a task lets the others of its loop run.
            yield ("wait", self.pace)
        self.note("done", caller)

    def send(self, channel, messages):
        call = ("send", channel, messages[0])
        if len(messages) > 1:
            call = ("send_batch", [(channel, message) for message in messages])
        try:
            results = yield call
        except REFUSED as error:
            results = [error]
        except LayerUnavailable as error:
            self.conclude("unknown", messages, str(error))
            yield ("wait", RETRY_SECONDS)
            return
        for message, error in zip(messages, results or [None] * len(messages)):
            self.conclude("refused" if error else "sent", [message])

    def send_group(self, group, messages):
        for message in messages:
            try:
                yield ("send_group", group, message)
            except LayerUnavailable as error:
                self.conclude("unknown", [message], str(error))
                yield ("wait", RETRY_SECONDS)
            else:
                self.conclude("sent", [message])

    def conclude(self, outcome, messages, *details):
        for message in messages:
            self.note(outcome, message["id"], *details)


class Reader(Role):
    """
    Receives from channels, up to ``limit`` messages at a time.

    ``each`` gives the channels to the callers in turns, one reader for each;
    otherwise every caller receives from all. ``give_back`` of 100 receives are
    put back at once.
    """

    def __init__(
        self, name, journal, channels=(), limit=1, each=False, give_back=0, **options
    ):
        super().__init__(name, journal, **options)
        self.channels = list(channels)
        self.limit = limit
        self.each = each
        self.give_back = give_back
        self._received = itertools.count()

    def lives(self):
        if not self.each:
            return super().lives()
        shares = [self.channels[n :: self.callers] for n in range(self.callers)]
        return [self.read(f"{self.name}.{n}", share) for n, share in enumerate(shares)]

    def live(self, caller):
        return self.read(caller, self.channels)

    def read(self, caller, channels):
        self.note("reads", caller, channels)
        try:
            while not self.stopping.is_set():
                yield from self.receive(caller, channels)
        except Stopped:
            pass
        self.note("stopped", caller)

    def receive(self, caller, channels):
        self.note("waits", caller)
        call = ("receive_batch", channels, self.limit, True, WAIT_SECONDS)
        pairs = yield from self.insist(*call)
        if pairs is None:
            return
        if not pairs:
            self.note("nothing", caller)
        elif next(self._received) % 100 < self.give_back:
            yield from self.insist("put_back", pairs)
        else:
            for channel, message in pairs:
                if message == GAP:
                    self.note("told", channel)
                    continue
                identity, whole = str(message.get("id")), is_whole(message)
                self.note("received", identity, channel, caller, whole)


class Member(Reader):
    """
    Owns an inbox, with members in groups, and receives from it.

    ``steady`` members are in each group until the end. A second caller has
    ``flapping`` ones join and leave, again and again.
    """

    def __init__(
        self, name, journal, groups=(), steady=1, flapping=0, limit=10, **options
    ):
        self.inbox = f"{name}!"
        super().__init__(name, journal, channels=[self.inbox], limit=limit, **options)
        self.groups = list(groups)
        self.steady = steady
        self.flapping = flapping
        self.callers = 1

    def lives(self):
        flappers = [self.flap(f"{self.name}.{n + 1}") for n in range(self.flapping)]
        return [*super().lives(), *flappers]

    def live(self, caller):
        names = []
        for _ in range(self.steady):
            channel = yield from self.insist("new_channel", self.inbox)
            names.append(channel)
            for group in self.groups:
                yield from self.join(group, channel)
        self.note("owns", self.inbox, names)
        yield from self.read(caller, self.channels)

    def flap(self, caller):
        channel = yield from self.insist("new_channel", self.inbox)
        try:
            while not self.stopping.is_set():
                for group in self.groups:
                    yield from self.join(group, channel)
                    yield from self.leave(group, channel)
                yield ("wait", FLAP_SECONDS)
        except Stopped:
            pass
        self.note("done", caller)

    def join(self, group, channel):
        self.note("joining", group, channel)
        yield from self.insist("group_add", group, channel)
        self.note("joined", group, channel)

    def leave(self, group, channel):
        self.note("leaving", group, channel)
        yield from self.insist("group_discard", group, channel)
        self.note("left", group, channel)


ROLES = {"writer": Writer, "reader": Reader, "member": Member}
