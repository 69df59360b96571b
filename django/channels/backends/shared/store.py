"""
What a store does for the layer around it: the contract of LMDB, SQL and Redis.

In: calls of layer.py and its parts, in any thread; on an event loop only those
that wait for nothing: begin_append(), begin_send_group(), take_at_once(), hear().
Out: the server, file or tables that all processes share.

A store holds *queues*: a normal channel, a single-reader channel or an inbox
("prefix!"), each a sequence of entries. It cannot read the entries. It holds
*registrations*: which inboxes and plain channels are in a group. And it knows
*processes* by their incarnation, a random name that lives as long as its lease.
"""

from typing import NamedTuple, Optional

# How often the keeper of a layer renews the lease, in seconds.
RENEWAL_SECONDS = 1
# How long a lease lives without, in seconds.
LEASE_SECONDS = 10
# How long an inbox that nobody has claimed stays in a group, in seconds.
UNCLAIMED_SECONDS = 86400
# How long the counters of a queue outlive its last use, in seconds.
MEMORY_SECONDS = 3600
# The same for a single-reader channel: it is seldom used twice.
SINGLE_READER_MEMORY_SECONDS = 60

# For take(): this process comes again, and is to be rung for that.
AHEAD = "ahead"


class Entry(NamedTuple):
    """What a queue holds, as it is taken out."""

    # The bytes that were given; None for the count of group messages missed.
    payload: Optional[bytes]
    # Seconds that it may still live; None is for ever.
    left: Optional[float] = None
    # A control entry: the add count that register() returned. A missed one: how
    # many messages of ``group`` did not fit. Otherwise 0.
    mark: int = 0
    group: Optional[str] = None


class Store:
    """
    The base of a store. Each method is one atomic step, safe in every thread.

    Whatever keeps a method from being carried out is a LayerUnavailable. A
    method that raises it may have been carried out: the store never repeats one
    unless it knows that it was not, or repeating changes nothing.

    Time is the store's own: the server's clock, or one of the machine that
    nobody can set. Expired entries are never returned, free their room and are
    counted as expired at the latest when somebody looks for that reason.
    """

    # Does listen() wait for what comes to inboxes, and return it itself?
    reads_inboxes = False
    # Seconds that an entry lives; messages only, never control entries.
    expiry = None
    # The name of this process in the store, until renew() returns False.
    incarnation = None

    # Queues.

    def append(self, batches):
        """
        Append to queues; return how many entries of each batch were stored.

        ``batches`` is a list of (queue, capacity, [payload, …]) with each queue
        at most once. As many as there is room for are stored, the first ones;
        the rest is counted as refused. Processes that wait for a queue are rung,
        at most one per entry.
        """
        raise NotImplementedError

    def begin_append(self, batches):
        """
        Begin append() without waiting for anything; return a Flight, or None.

        None means that nothing was done, and that append() is to do it.
        """
        return None

    def take(self, names, limit, wait=False):
        """
        Take up to ``limit`` entries; return [(queue, Entry), …] in order.

        The names are tried one after the other. From an inbox it may return
        more, and control entries and counts of missed messages do not count:
        the caller keeps them. With fewer messages than ``limit``, nothing is left.
        What is returned counts as delivered. If there is nothing and ``wait`` is
        true, this process is rung once when something comes to one of them; with
        ``wait`` AHEAD also if it has emptied an inbox, where the store can do that.
        The caller has one thread at a time take from, or accept for, an inbox.
        """
        raise NotImplementedError

    def take_at_once(self, inbox, limit):
        """
        Return what take() does with ``wait`` AHEAD, without waiting for anything.

        None means that nothing was done, and that take() is to do it. This is for
        inboxes that are claimed; what it returns are messages only.
        """
        return None

    def accept(self, inbox, offered):
        """
        Return the entries, as take() does, of what listen() offered for an inbox.

        Only those that were not taken in the meantime.
        """
        raise NotImplementedError

    def hears(self, inbox):
        """
        Return whether listen() tells of all that there is in an inbox.

        Nobody has to take from it before listening, then.
        """
        return self.reads_inboxes

    def is_at_hand(self, inbox, offered):
        """
        Return whether accept() takes little time, and so does all that follows.

        It waits for nothing then, and its entries ask for nothing of the store.
        """
        return False

    def give_back(self, entries):
        """
        Put [(queue, payload, left), …] at the heads, so that the first is first.

        Capacity does not count. With None for ``left``, an entry lives as long
        as one that is sent now, but no longer than the head it is put before.
        They are not delivered any more; waiting processes are rung.
        """
        raise NotImplementedError

    def drop(self, queue):
        """Drop the entries of a single-reader channel and its memberships."""
        raise NotImplementedError

    def count(self, changes):
        """
        Change counters of queues: {queue: {"messages_count": n, …}}.

        The keys are messages_count, delivered_count, dropped_count and
        expired_count; n may be below 0. Layers do this for what one entry became
        in the process that took it.
        """
        raise NotImplementedError

    # Groups.

    def register(self, group, inbox, capacity, control):
        """
        Register an inbox in a group, append ``control``; return the add count.

        The registration names the incarnation that claimed the inbox, and is
        one for each group and inbox: its add count grows by 1. The control
        entry carries the count as its mark; it takes no room and never expires.
        """
        raise NotImplementedError

    def post(self, group, inbox, control):
        """
        Append a control entry to an inbox, whose mark is 0 if it is not registered.

        It is not when its process was taken for dead, or the store lost what it
        held: the process makes its registrations again, without who left meanwhile.
        """
        raise NotImplementedError

    def deregister(self, group, inbox, count):
        """End a registration if its add count is still ``count``; return whether."""
        raise NotImplementedError

    def claim(self, registrations, inboxes):
        """
        Say that inboxes, and these registrations of theirs, are this process's.

        ``registrations`` is a list of (group, inbox, capacity, count); one that
        is not there is made, and its add count is at least ``count`` then.
        """
        raise NotImplementedError

    def is_foreign(self, inbox):
        """Return whether another process, one that is alive, has claimed an inbox."""
        raise NotImplementedError

    def add(self, group, channel, capacity, seconds):
        """Make a plain channel a member of a group for that many seconds."""
        raise NotImplementedError

    def remove(self, group, channel):
        """End the membership of a plain channel."""
        raise NotImplementedError

    def begin_send_group(self, group, payload):
        """
        Begin send_group() without waiting; return a Flight, or None.

        See begin_append(). The result is True.
        """
        return None

    def send_group(self, group, payload):
        """
        Append an entry to each inbox and plain channel that is registered.

        What is full is left out: it counts as sent, dropped and refused, and the
        owner of an inbox is told by an Entry with mark and group. An inbox whose
        incarnation is dead is left out and its registration removed, if it still
        names that incarnation; one that nobody claimed counts as alive.
        """
        raise NotImplementedError

    # Processes.

    def renew(self):
        """
        Renew the lease of this process; return False if data may be lost.

        That is so when the lease ran out, or when the store is not the one, or
        not in the state, that this process knew. There is a new incarnation
        then, and the layer claims everything again. The first call returns True.
        """
        raise NotImplementedError

    def listen(self, timeout, inboxes=()):
        """
        Wait to be rung, at most ``timeout`` seconds; return [(queue, offered), …].

        Only one thread does it at a time. ``inboxes`` are those that readers of
        this process wait for; a store that can wait for their entries themselves
        returns them as ``offered``, for accept(). Otherwise it is None. The list
        is empty after the timeout, and after interrupt().
        """
        raise NotImplementedError

    def begin_wait(self, names):
        """
        Say that a receive waits for queues, and that somebody listens or is about to.

        Return a function that says that it does so no more, or None. Until then a
        store may have listen() offer what is sent to one of them at once, which never
        is in a queue, as long as it is no more than that receive takes.
        """
        return None

    def interrupt(self):
        """End the running listen(), or else the next one."""
        raise NotImplementedError

    def ear(self, inboxes):
        """
        Return the descriptor that can be read when hear() has something, or None.

        It is one for what listen() waits for. None means that listen() is to be
        called: there is something to do first that may take time.
        """
        return None

    def hear(self):
        """
        Return what listen() would, without waiting: no rings if there are none.

        One caller at a time calls this or listen().
        """
        return []

    def look(self, names):
        """Return those of the queues in which entries wait."""
        raise NotImplementedError

    def pass_on(self, queue):
        """Ring another process that waits for a queue, if entries wait there."""
        raise NotImplementedError

    # Care.

    def statistics(self, queue=None):
        """
        Return the counters of one queue, or the sums of all that are known.

        The keys are those of BaseChannelLayer.statistics(). An unknown queue has
        all zeros.
        """
        raise NotImplementedError

    def queues(self):
        """Return {queue: (statistics, number of waiting processes)}."""
        raise NotImplementedError

    def groups(self):
        """Return {group: (number of inboxes, number of plain channels)}."""
        raise NotImplementedError

    def describe(self):
        """Return lines for a human on where and what the store is."""
        raise NotImplementedError

    def flush(self, control):
        """
        Drop all entries, counted, and all registrations.

        Claims stay; ``control`` is appended to each inbox that is claimed.
        """
        raise NotImplementedError

    def close(self):
        """Release connections and files. The next call opens them again."""
        raise NotImplementedError

    def leave(self):
        """Let go, in a forked child, of what belongs to the parent."""
        raise NotImplementedError
