"""
How messages come out of a store, for readers in threads and on event loops.

In: receives from layer.py, and what the bell's leader heard. Out: (channel,
message) pairs. Entries of an inbox go through inboxes.py, in their order, under
the inbox's lock; all others are decoded here.
"""

import logging
import time
from contextlib import ExitStack

from django.channels.exceptions import LayerUnavailable
from django.channels.names import queue_of

from ..selections import Selections
from ..waiters import LoopWaiter, ThreadWaiter
from .envelopes import ADD, MESSAGE, EnvelopeError
from .inboxes import FETCH_LIMIT
from .store import AHEAD

# After so many takes without a message, others get their turn with the inboxes.
MOST_TAKES = 16
# How long that is, in seconds.
TURN_SECONDS = 0.001

logger = logging.getLogger("django.channels")


class Reader:
    """Takes messages for the readers of this process."""

    def __init__(self, layer, store, codec):
        self._layer = layer
        self._store = store
        self._codec = codec
        self._owner = None
        # What the layer asks for the channels of a receive.
        self.selections = Selections()
        # Was an entry that is none of ours reported?
        self._reported = False

    def set_owner(self, owner):
        """Say whose reader this is."""
        self._owner = owner

    # Taking.

    def take(self, selection, limit, wait=False, until=None):
        """
        Return up to ``limit`` pairs that are there; see Store.take().

        With ``wait``, it may take until that time, of time.monotonic().
        """
        if wait:
            self._owner.stay_alive()
        while (pairs := self._take_some(selection, limit, wait)) is None:
            if until is not None and time.monotonic() >= until:
                return []
            time.sleep(TURN_SECONDS)
        return pairs

    def _take_some(self, selection, limit, wait):
        """Return pairs as take() does, or None if others are to have their turn."""
        if len(selection.names) == len(selection.inboxes) == 1:
            inbox = self._owner.inbox(selection.names[0])
            with inbox.lock:
                self._owner.claim(inbox)
                return inbox.take(limit) or self._take_stored(
                    selection.names, {inbox.name: inbox}, limit, wait
                )
        with ExitStack() as stack:
            inboxes = {}
            for name in selection.inboxes:
                inboxes[name] = inbox = self._owner.inbox(name)
                stack.enter_context(inbox.lock)
                self._owner.claim(inbox)
            return self._take_locked(selection, inboxes, limit, wait)

    def _take_locked(self, selection, inboxes, limit, wait):
        start = selection.start
        names = selection.names[start:] + selection.names[:start]
        here = [
            i for i, n in enumerate(names) if n in inboxes and inboxes[n].has_messages()
        ]
        pairs = []
        while here and not pairs:
            # What an inbox has left comes in its turn, like a queue.
            first = here.pop(0)
            if first:
                pairs = self._take_stored(names[:first], inboxes, limit, False)
            pairs = pairs or inboxes[names[first]].take(limit)
        pairs = pairs or self._take_stored(names, inboxes, limit, wait)
        if pairs and len(names) > 1:
            last = selection.names.index(queue_of(pairs[-1][0]))
            selection.start = (last + 1) % len(names)
        return pairs

    def _take_stored(self, names, inboxes, limit, wait):
        """
        Take from the store until there is a message, or nothing at all.

        Return None if there was neither: members that come and go all the time
        are not to keep the keeper from renewing the lease.
        """
        for _ in range(MOST_TAKES):
            taken = self._store.take(list(names), limit, wait)
            pairs = self._read(taken, inboxes)
            for name in names:
                if name in inboxes and len(pairs) < limit:
                    pairs += inboxes[name].take(limit - len(pairs))
            if pairs or not taken or not wait and _has_emptied(taken, limit):
                return pairs
        return None

    def _read(self, taken, inboxes):
        """Return the pairs of plain channels; what is an inbox's goes there."""
        pairs = []
        for queue, entry in taken:
            if queue in inboxes:
                self._apply(inboxes[queue], entry)
                continue
            try:
                _, _, message = self._codec.decode(entry.payload, queue)
            except EnvelopeError as error:
                self._report(queue, error)
                self._owner.change(queue, delivered_count=-1, dropped_count=1)
            else:
                pairs.append((queue, message))
        return pairs

    def _apply(self, inbox, entry):
        if entry.payload is None:
            return inbox.miss(entry)
        try:
            kind, target, message = self._codec.decode(entry.payload, inbox.name)
        except EnvelopeError as error:
            self._report(inbox.name, error)
            return inbox.spoil()
        empty = inbox.apply(entry, kind, target, message)
        if empty:
            self._owner.leave(inbox, empty)
        elif kind == ADD:
            self._owner.join(inbox, target)

    def _report(self, queue, error):
        if not self._reported:
            self._reported = True
            logger.error(
                "%s dropped an entry of %r. %s There may be more of them; this is "
                "said once.",
                type(self._layer).__name__,
                queue,
                error,
            )

    def deliver(self, name, offered, may_wait=True):
        """
        Read what was heard for an inbox; return whether it is done.

        It is not if that would take waiting, and it may not wait.
        """
        inbox = self._owner.inbox(name)
        if not may_wait and not self._store.is_at_hand(name, offered):
            return False
        if not inbox.lock.acquire(blocking=may_wait):
            return False
        try:
            for entry in self._store.accept(name, offered):
                self._apply(inbox, entry)
        finally:
            inbox.lock.release()
        return True

    def fetch(self, inbox):
        """
        Read all that waits in an inbox, before a name is closed.

        Return False if the store is away: a name that new_channel() gave can be
        closed all the same, as what comes for it later is dropped here.
        """
        try:
            if inbox.pending() < FETCH_LIMIT:
                self._owner.claim(inbox)
                for _, entry in self._store.take([inbox.name], FETCH_LIMIT):
                    self._apply(inbox, entry)
        except LayerUnavailable:
            return False
        return True

    # Putting back.

    def put_back(self, pairs):
        """Put pairs that were received to the heads of their channels."""
        plain = []
        for channel, message in pairs:
            if "!" not in channel:
                payload = self._codec.encode(MESSAGE, "", message)
                plain.append((channel, payload, None))
        if plain:
            self._store.give_back(plain)
        for channel, message in reversed(pairs):
            if "!" in channel:
                inbox = self._owner.inbox(queue_of(channel))
                with inbox.lock:
                    inbox.put_back(channel, message, self._layer.expiry)
        self._owner.bell.wake_all({queue_of(channel) for channel, _ in pairs})

    # Waiting.

    def wait(self, selection, limit, timeout):
        """Return pairs as soon as there are some, in a thread."""
        bell, left = self._owner.bell, timeout
        until = None if timeout is None else time.monotonic() + timeout
        with _Place(bell, ThreadWaiter(bell.closings)) as place:
            waiter = place.waiter
            while waiter.closings == bell.closings:
                # Of this one, whoever listens asks the store.
                heard = self._heard_inbox(selection) if left != 0 else None
                if heard is not None:
                    place.pairs = self._take_here(heard, limit)
                elif waiter.counted:
                    # There is something, if no other process has taken it.
                    place.pairs = self.take(selection, limit, AHEAD, until)
                if place.pairs:
                    break
                bell.enlist(waiter, selection.names)
                # Whoever listens may have heard of it before.
                if heard is not None and self._store.hears(heard.name):
                    place.pairs = self._take_here(heard, limit)
                else:
                    place.pairs = self.take(selection, limit, AHEAD, until)
                if place.pairs or left == 0 or waiter.closings != bell.closings:
                    break
                left = None if until is None else max(until - time.monotonic(), 0)
                bell.sleep(waiter, left)
        return place.pairs

    async def await_(self, selection, limit, timeout):
        """Return pairs as soon as there are some, on an event loop."""
        bell, left = self._owner.bell, timeout
        until = None if timeout is None else time.monotonic() + timeout
        with _Place(bell, LoopWaiter(bell.closings)) as place:
            waiter = place.waiter
            while waiter.closings == bell.closings:
                if left != 0 and (pairs := self._take_at_once(selection, limit)):
                    place.pairs = pairs
                    break
                bell.enlist(waiter, selection.names)
                pairs = self._take_at_once(selection, limit) if left != 0 else None
                if pairs is None:
                    pairs = await self._owner.courier.call(
                        self.take, selection, limit, AHEAD, until, undo=self.put_back
                    )
                place.pairs = pairs
                if pairs or left == 0 or waiter.closings != bell.closings:
                    break
                left = None if until is None else max(until - time.monotonic(), 0)
                await bell.asleep(waiter, left)
        return place.pairs

    def _claimed_inbox(self, selection):
        """Return the one inbox that is asked for, if the store knows whose it is."""
        if len(selection.names) > 1 or not self._owner.is_alive:
            return None
        inbox = self._owner.find(selection.names[0])
        return inbox if inbox is not None and inbox.claimed else None

    def _heard_inbox(self, selection):
        """Return the one inbox that is asked for, if listening finds all it has."""
        inbox = self._claimed_inbox(selection)
        if inbox is not None and self._store.hears(inbox.name):
            return inbox
        return None

    def _take_at_once(self, selection, limit):
        """Return what is there, or None where a thread is to look."""
        inbox = self._claimed_inbox(selection)
        if inbox is None or self._owner.courier.may_undo:
            return None
        hears = self._store.hears(inbox.name)
        if hears and not inbox.has_messages():
            return []
        if not inbox.lock.acquire(blocking=False):
            return None
        try:
            pairs = inbox.take(limit)
            if pairs or hears:
                return pairs
            return self._take_stored_at_once(inbox, limit)
        finally:
            inbox.lock.release()

    def _take_stored_at_once(self, inbox, limit):
        """See _take_at_once(). Another thread may be about to put something back."""
        if self._owner.courier.is_busy:
            return None
        for _ in range(MOST_TAKES):
            taken = self._store.take_at_once(inbox.name, limit)
            if not taken:
                return taken
            for _, entry in taken:
                self._apply(inbox, entry)
            if pairs := inbox.take(limit):
                return pairs
        return None

    def _take_here(self, inbox, limit):
        if not inbox.has_messages():
            return []
        with inbox.lock:
            return inbox.take(limit)


def _has_emptied(taken, limit):
    """Return whether Store.take() left nothing, as it was asked for more messages."""
    return sum(entry.left is not None for _, entry in taken) < limit


class _Place:
    """The place in line of a receive, and what it took there."""

    __slots__ = ("_bell", "waiter", "pairs")

    def __init__(self, bell, waiter):
        self._bell = bell
        self.waiter = waiter
        self.pairs = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        bell, waiter = self._bell, self.waiter
        if kind is GeneratorExit:
            bell.abandon(waiter, self.pairs)
        else:
            bell.release(waiter, self.pairs)
        # A store that was closed in the middle of a call is not away.
        return isinstance(error, LayerUnavailable) and waiter.closings != bell.closings
