"""
What this process owns: its inboxes, its lease and its threads.

In: the layer, and the keeper once a second. Out: the store. A process that only
sends owns nothing, and has no threads.
"""

import logging
import threading

from django.channels.exceptions import LayerUnavailable
from django.channels.names import new_name

from .bell import Bell
from .courier import Courier
from .inboxes import Inbox
from .keeper import Keeper

logger = logging.getLogger("django.channels")

# The type of the message to members of groups when messages may be lost.
GAP_TYPE = "layer.gap"


class Owner:
    """The part of a layer that lives in this process and not in the store."""

    def __init__(self, layer, store, read):
        self._layer = layer
        self._store = store
        name = type(layer).__name__
        self.courier = Courier(name, store)
        self.bell = Bell(store, read, self.courier.errand)
        self._keeper = Keeper(name, self.bell, self._tick)
        self._lock = threading.Lock()
        self._life_lock = threading.Lock()
        # Has this process a lease?
        self._renewed = False
        # Does the store know nothing any more of what this process has?
        self._is_forgotten = False
        self._inboxes = {}
        # What leave() could not tell the store: [(inbox, groups left empty)]
        self._unfinished = []
        # What join() could not tell it: [(inbox, group)]
        self._unjoined = []
        # {queue: corrections of its counters that the store has not got yet}
        self._changes = {}
        # Held by whoever gives them to the store.
        self._pushing = threading.Lock()

    # Inboxes.

    def find(self, name):
        """Return an inbox, or None if this process has nothing of it."""
        return self._inboxes.get(name)

    def inbox(self, name):
        """Return an inbox, made if it is not there."""
        inbox = self._inboxes.get(name)
        if inbox is None:
            with self._lock:
                inbox = self._inboxes.setdefault(name, Inbox(name))
        return inbox

    def refuses(self, name, channel):
        """Return whether a channel of an inbox was closed; count the message."""
        inbox = self._inboxes.get(name)
        if inbox is None or not inbox.is_made():
            return False
        with inbox.lock:
            closed = inbox.is_closed(channel)
            if closed:
                inbox.refuse()
        return closed

    def new_channel(self, pattern):
        """Return a fresh name, open if it is one of an inbox."""
        name = new_name(pattern)
        if pattern[-1] == "!":
            inbox = self.inbox(pattern)
            with inbox.lock:
                inbox.open(name)
        return name

    def claim(self, inbox):
        """Tell the store that an inbox is this process's, unless it knows."""
        if not inbox.claimed:
            self.stay_alive()
            self._store.claim([], [inbox.name])
            inbox.claimed = True

    def join(self, inbox, group):
        """Tell the store that this process has members of a group, unless it knows."""
        if group not in inbox.registered:
            count = dict(inbox.memberships())[group]
            capacity = self._layer.get_capacity(inbox.name)
            try:
                self._store.claim([(group, inbox.name, capacity, count)], [])
            except LayerUnavailable:
                # There may be messages behind it, that were taken with it.
                self._unjoined.append((inbox, group))
            else:
                inbox.registered.add(group)

    def leave(self, inbox, empty):
        """End the registrations of groups without members here."""
        try:
            for group, count in empty:
                if self._store.deregister(group, inbox.name, count):
                    inbox.forget(group)
        except LayerUnavailable:
            # Names are closed without the store; it hears of it when it is back.
            self._unfinished.append((inbox, empty))

    # Life.

    @property
    def is_alive(self):
        """Is there a lease, and a thread that renews it?"""
        return self._renewed

    def stay_alive(self):
        """Have a lease, and a thread that renews it."""
        if self._renewed:
            return
        with self._life_lock:
            if not self._renewed:
                self._renew()
                self._keeper.start()
                self._renewed = True

    def stop(self):
        """End the waits and the threads."""
        self.bell.end_waiting()
        self._keeper.stop()
        self.courier.stop()
        self._renewed = False
        try:
            self.push_changes()
        except LayerUnavailable as error:
            logger.warning(
                "Counters of %s wait for its store to come back: %s",
                type(self._layer).__name__,
                error,
            )

    def _renew(self):
        """Renew the lease; return whether all had to be claimed again for that."""
        if not self._store.renew():
            self._is_forgotten = True
        if not self._is_forgotten:
            return False
        self._claim_all()
        # A claim that fails is made again.
        self._is_forgotten = False
        return True

    def _tick(self):
        if self._renew():
            self.bell.depose()
            logger.warning(
                "%s found its store without what was in it: messages may be lost.",
                type(self._layer).__name__,
            )
            self._tell_gap()
        self.push_changes()
        self._finish()
        if names := self.bell.names():
            self.bell.wake_all(self._store.look(names))

    def _finish(self):
        """Tell the store who joined and left while it was away."""
        unjoined, self._unjoined = self._unjoined, []
        for inbox, group in unjoined:
            with inbox.lock:
                if inbox.has_members(group):
                    self.join(inbox, group)
        unfinished, self._unfinished = self._unfinished, []
        for inbox, empty in unfinished:
            with inbox.lock:
                self.leave(inbox, empty)

    def _claim_all(self):
        """Tell a store that knows nothing of this process what it has."""
        inboxes = list(self._inboxes.values())
        registrations = [
            (group, inbox.name, self._layer.get_capacity(inbox.name), count)
            for inbox in inboxes
            for group, count in inbox.memberships()
        ]
        claimed = [inbox.name for inbox in inboxes if inbox.claimed]
        if registrations or claimed:
            self._store.claim(registrations, claimed)

    def _tell_gap(self):
        """Tell the members of groups, and whoever asked, that messages may be lost."""
        for inbox in list(self._inboxes.values()):
            with inbox.lock:
                inbox.add_to_members({"type": GAP_TYPE}, self._layer.expiry)
            self.bell.wake(inbox.name)
        self._layer.gap()

    # Counters.

    def change(self, queue, **counts):
        """Correct the counters of a queue, later."""
        with self._lock:
            changes = self._changes.setdefault(queue, {})
            for key, count in counts.items():
                changes[key] = changes.get(key, 0) + count

    def push_changes(self):
        """
        Give the store all corrections there are.

        Once it returns, it has those that another thread was about to give it, too.
        """
        with self._pushing:
            self._push_locked()

    def _push_locked(self):
        for inbox in list(self._inboxes.values()):
            with inbox.lock:
                corrections = inbox.corrections()
            if corrections:
                self.change(inbox.name, **corrections)
        with self._lock:
            changes, self._changes = self._changes, {}
        if not changes:
            return
        try:
            self._store.count(changes)
        except LayerUnavailable:
            for queue, counts in changes.items():
                self.change(queue, **counts)
            raise

    def complete(self, statistics, name=None):
        """Return the statistics of the store, with what is in this process."""
        inboxes = list(self._inboxes.values())
        for inbox in inboxes:
            if name in (None, inbox.name):
                with inbox.lock:
                    pending = inbox.pending()
                    age = inbox.max_age(self._layer.expiry)
                statistics["messages_pending"] += pending
                statistics["delivered_count"] -= pending
                statistics["messages_max_age"] = max(
                    statistics["messages_max_age"], age
                )
        return statistics

    def flush(self):
        """Drop what is in this process."""
        for inbox in list(self._inboxes.values()):
            with inbox.lock:
                inbox.reset()
