"""
The loop on which a process runs its ``async def`` consumers.

In: coroutines of worker.py, from any thread. Out: their runs, many at a time.
"""

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections import deque
from functools import partial

from django.channels.worker.synccode import SyncCode

# Consumers that run at a time; more wait for one of them to end.
RUNNING_CONSUMERS = 256
# The share of them that run when whoever waits for room is woken.
ROOM_SHARE = 0.75
# Seconds that the loop itself has at the end, beyond those of its coroutines.
LOOP_SECONDS = 1.0

logger = logging.getLogger("django.channels.worker")


class ConsumerLoop:
    """
    An event loop in a daemon thread, which starts with the first coroutine.

    ``limit`` coroutines run at a time, RUNNING_CONSUMERS if it is None. Their
    synchronous code runs where ``choose_thread()`` says, see SyncCode; by default
    in one more thread.
    """

    def __init__(self, limit=None):
        self._limit = RUNNING_CONSUMERS if limit is None else limit
        self._lock = threading.Lock()
        self._has_room = threading.Condition(self._lock)
        self._waiting = deque()
        # {task: (since when, label)}, and those that are about to be there.
        self._running = {}
        self._starting = []
        self._loop = None
        self._thread = None
        self._executor = None
        self.choose_thread = self.get_own_thread

    @property
    def room(self):
        """How many more coroutines would not have to wait."""
        return max(0, self._limit - len(self._running) - len(self._starting))

    def wait_for_room(self, timeout):
        """Wait until some have ended, ``timeout`` seconds at the most."""
        with self._lock:
            if not self.room:
                self._has_room.wait(timeout)

    @property
    def ident(self):
        """The identifier of the thread, None before it started."""
        return self._thread and self._thread.ident

    def run(self, function, label):
        """
        Run a coroutine function; return a Future for its end.

        ``label`` says in logs what it is.
        """
        future = concurrent.futures.Future()
        with self._lock:
            if self._loop is None:
                self._start_locked()
            if not self.room:
                self._waiting.append((function, label, future))
                return future
            self._starting.append((function, label, future))
            if len(self._starting) > 1:
                # The loop is about to begin those before it.
                return future
        self._loop.call_soon_threadsafe(self._begin_all)
        return future

    def overdue(self, seconds):
        """Return [(task, label), …] of what has run for so many seconds."""
        latest = time.monotonic() - seconds
        with self._lock:
            running = list(self._running.items())
        return [(task, label) for task, (since, label) in running if since <= latest]

    def cancel(self, task):
        """Cancel a coroutine; it ends at its next await."""
        self._loop.call_soon_threadsafe(task.cancel)

    def stop(self, timeout):
        """
        Let what runs end, then end the thread; return whether all ended.

        What has not ended after ``timeout`` seconds is cancelled.
        """
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None:
            return True
        done = asyncio.run_coroutine_threadsafe(self._finish(timeout), loop)
        try:
            ended = done.result(timeout + LOOP_SECONDS)
        except concurrent.futures.TimeoutError:
            # A coroutine keeps the loop from running: it ends with the process.
            return False
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        if self._executor is not None:
            self._executor.shutdown()
        with self._lock:
            self._loop = self._thread = self._executor = None
        return ended

    def get_own_thread(self):
        """Return the function that has one more thread do something."""
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(
                1, "channels-coroutines-sync"
            )
        return self._executor.submit

    def _start_locked(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run_loop, name="channels-coroutines", daemon=True
        )
        self._thread.start()

    def _run_loop(self):
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                return self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # Raised in a task, they leave the loop, which others need.
                logger.exception("A task of a consumer left the loop:")

    # On the loop.

    def _begin_all(self):
        with self._lock:
            starting, self._starting = self._starting, []
            for function, label, future in starting:
                task = self._loop.create_task(self._run(function))
                self._running[task] = time.monotonic(), label
                task.add_done_callback(partial(self._end, future))

    def _end(self, future, task):
        with self._lock:
            _, label = self._running.pop(task)
            if len(self._running) <= self._limit * ROOM_SHARE:
                self._has_room.notify_all()
            if self._waiting:
                self._starting.append(self._waiting.popleft())
                if len(self._starting) == 1:
                    self._loop.call_soon(self._begin_all)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("The run of %s failed:", label, exc_info=error)
        future.set_result(None)

    async def _run(self, function):
        async with SyncCode(self.choose_thread):
            await function()

    async def _finish(self, timeout):
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while self._running or self._starting or self._waiting:
            left = until - loop.time()
            if left <= 0:
                return await self._cancel_all()
            if self._running:
                await asyncio.wait([*self._running], timeout=left)
            # Those that wait or start are running after this turn of the loop.
            await asyncio.sleep(0)
        return True

    async def _cancel_all(self):
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            running = dict(self._running)
        for task, (_, label) in running.items():
            logger.error("Cut off %s: it did not end in time.", label)
            task.cancel()
        for _, label, future in waiting:
            logger.error("Cut off %s, which had not begun.", label)
            future.set_result(None)
        if running:
            await asyncio.wait(running, timeout=1)
        return False
