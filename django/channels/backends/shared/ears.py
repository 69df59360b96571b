"""
Event loops that listen themselves, instead of a thread that would wake them.

In: tasks that wait, from reader.py, and bell.py, which this is a part of. Out:
Store.hear(), as often as the descriptor that Store.ear() names can be read.

A loop listens only while all that wait are its own tasks: one that is kept busy,
or stopped, keeps nobody else waiting. Whatever may take time is for a thread.
"""

import contextlib
import os

from django.channels.exceptions import LayerUnavailable

from .finalizers import call_aside


class Ear:
    """A loop that listens; made, and ended, in its thread."""

    _file = None

    def __init__(self, loop, file, on_ready):
        self.loop = loop
        # Is something that was heard on its way to those who wait?
        self.is_busy = False
        # Is another one to listen, as soon as it is not busy?
        self.is_deposed = False
        # Its own, so that the loop never watches a number that was closed and
        # stands for something else by now.
        self._file = os.dup(file)
        loop.add_reader(self._file, on_ready, self)

    def __del__(self):
        # The loop was closed, or this is a forked child, where it is not ours.
        self._close()

    def end(self):
        """Watch no more; on the loop."""
        if self._file is not None:
            self.loop.remove_reader(self._file)
            self._close()

    def end_soon(self):
        """Have the loop watch no more; in any thread."""
        # RuntimeError: it was closed.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.end)

    def _close(self):
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


class LoopListening:
    """The part of a Bell that is about event loops that listen."""

    async def asleep(self, waiter, seconds):
        """
        Return when a task's waiter was woken, or after ``seconds``.

        Its loop listens if all that wait are its tasks, and if the store needs no
        thread for that. Otherwise a thread does: a loop that is kept busy would
        keep the others waiting.
        """
        with self._lock:
            if not waiter.counted:
                self._rely_locked(waiter)

        def look():
            if not waiter.counted:
                self._hear_now(waiter.loop)
            return waiter.counted

        async def sleep():
            await waiter.wait(seconds)
            return waiter.counted

        end_wait = self._store.begin_wait(waiter.queues)
        try:
            await self._spinner.await_(look, sleep)
        finally:
            if end_wait is not None:
                end_wait()

    def abandon(self, waiter, took):
        """See Bell.release(). This is for a task that is garbage."""
        call_aside(self._lock, self._release_locked, waiter, took)

    def _rely_locked(self, waiter):
        leader = self._leader
        if isinstance(leader, Ear):
            if leader.loop is waiter.loop and self._is_heard_locked(waiter.queues):
                return
            self._depose_locked()
        if self._leader is None:
            self._lead_by_loop_locked(waiter.loop)
        else:
            self._check_heard_locked(waiter.queues)

    def _may_loop_listen(self):
        with self._lock:
            return self._may_loop_listen_locked()

    def _may_loop_listen_locked(self):
        """Return whether all that wait are tasks of one loop that can listen."""
        return (
            len(self._tasks) == 1
            and next(iter(self._tasks)).is_running()
            and self._store.ear(self._inboxes_locked()) is not None
        )

    def _offer_lead(self, loop):
        with self._lock:
            self._offered_until = 0
            if self._leader is None and loop in self._tasks:
                self._lead_by_loop_locked(loop)

    def _lead_by_loop_locked(self, loop):
        """Have the running loop listen if it can, otherwise the keeper."""
        if len(self._tasks) == 1:
            file = self._store.ear(self._listen_for_locked())
            if file is not None:
                # NotImplementedError: the loop cannot, as that of Windows. OSError:
                # it was closed just now, or there are too many descriptors.
                with contextlib.suppress(NotImplementedError, OSError):
                    self._leader = Ear(loop, file, self._hear)
        if self._leader is None:
            self.wanted.notify_all()

    def depose(self):
        """Have a thread listen instead of a loop: the store has something to do."""
        with self._lock:
            self._depose_locked()
            self._promote_locked()

    def _depose_locked(self):
        """Have no loop listen, from now on or as soon as it is not busy."""
        ear = self._leader
        if isinstance(ear, Ear):
            ear.is_deposed = True
            if not ear.is_busy:
                self._leader = None
                ear.end_soon()

    def _check_ear_locked(self):
        """Have another one listen if a loop stands still, or the store needs it."""
        ear = self._leader
        if isinstance(ear, Ear) and not (
            ear.loop.is_running() and self._store.ear(self._heard) is not None
        ):
            self._depose_locked()

    def _hear_now(self, loop):
        """Dispatch what there is to hear, on that loop, if it is the one to listen."""
        ear = self._leader
        if isinstance(ear, Ear) and ear.loop is loop and not ear.is_busy:
            self._hear(ear)

    def _hear(self, ear):
        """Dispatch what there is to hear, on a loop."""
        with self._lock:
            if self._leader is not ear or not self._tasks:
                if self._leader is ear:
                    self._leader = None
                ear.end()
                return
            ear.is_busy = True
        rest = None
        try:
            rest = self._dispatch_at_once(self._store.hear())
        except LayerUnavailable:
            # Whoever listens next finds out, and says so.
            pass
        finally:
            if rest != []:
                ear.is_deposed = True
            if rest:
                # Until a thread is done with it, nobody listens.
                ear.end()
                self._errand(self._dispatch_rest, ear, rest)
            else:
                self._end_turn(ear)

    def _end_turn(self, ear):
        with self._lock:
            ear.is_busy = False
            if ear.is_deposed or self._store.ear(self._heard) is None:
                self._depose_locked()
                self._promote_locked()

    def _dispatch_at_once(self, rings):
        """Dispatch without waiting for anything; return what is left to do."""
        for index, (name, offered) in enumerate(rings):
            if offered is not None and not self._deliver(name, offered, False):
                return rings[index:]
            if not self.wake(name) and offered is None:
                return rings[index:]
        return []

    def _dispatch_rest(self, ear, rings):
        try:
            self._dispatch(rings)
        except LayerUnavailable:
            # Whoever waits looks now, and learns it.
            self.wake_all(self.names())
        finally:
            self._end_turn(ear)
