"""
How a layer of one flavor serves the other.

The sync form of an async layer runs on a private event loop in a daemon thread,
never on the caller's. The async form of a sync layer runs in threads. What a
receive takes for a caller who has meanwhile gone is put back (see Handoff).
"""

import asyncio
import concurrent.futures
import logging
import threading
import time

logger = logging.getLogger("django.channels")

# How long the thread of a receive waits before it looks whether its caller is
# still there, in seconds. A message ends the wait at once.
LOOK_UP_SECONDS = 1
# How long the end of a layer waits for what is being put back, in seconds.
PUT_BACK_SECONDS = 5


class Handoff:
    """
    The messages of one receive, on their way to a caller who may leave.

    Either deliver() returns False or abandon() returns the messages, never both:
    whoever is told so puts them back.
    """

    def __init__(self):
        self.abandoned = False
        self._pairs = []
        self._lock = threading.Lock()

    def deliver(self, pairs):
        """Leave messages for the caller; return whether it is still there."""
        with self._lock:
            if self.abandoned:
                return False
            self._pairs = pairs
            return True

    def abandon(self):
        """Leave; return the messages that were delivered before."""
        with self._lock:
            self.abandoned = True
            pairs, self._pairs = self._pairs, []
            return pairs


class BridgeLoop:
    """An event loop in a daemon thread that starts with the first use."""

    def __init__(self, name):
        self._name = name
        self._lock = threading.Lock()
        self._loop = None
        self._thread = None
        self._tasks = set()

    def run(self, function, *args, **kwargs):
        """Return the result of a coroutine function, run on the loop."""
        return self._submit(function(*args, **kwargs)).result()

    def receive(self, areceive, aput_back):
        """Return what ``areceive`` takes; lose nothing if interrupted."""
        handoff = Handoff()

        async def take():
            pairs = await areceive()
            if not handoff.deliver(pairs):
                self._spawn(aput_back(pairs))
            return pairs

        future = self._submit(take())
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            # stop() ended the wait.
            return handoff.abandon()
        except BaseException:
            if pairs := handoff.abandon():
                self._submit(self._put_back(aput_back, pairs))
            future.cancel()
            raise

    def stop(self):
        """End what runs on the loop, then the loop and its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._end_tasks(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _end_tasks(self):
        """Cancel all tasks but those that put something back; wait for all."""
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks - self._tasks:
                task.cancel()
            _, late = await asyncio.wait(tasks, timeout=PUT_BACK_SECONDS)
            for task in late:
                task.cancel()

    def _submit(self, coroutine):
        with self._lock:
            try:
                self._check_locked()
            except RuntimeError:
                coroutine.close()
                raise
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _check_locked(self):
        """Have a loop that runs, in another thread than this one."""
        if self._loop is None:
            self._start_locked()
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                f"The sync form of {self._name} was called within its own event "
                "loop. Use the async form."
            )

    def _start_locked(self):
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=loop.run_forever, name=f"{self._name} bridge", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # There are too many. The next call tries it again.
            loop.close()
            raise
        self._loop, self._thread = loop, thread

    def _spawn(self, coroutine):
        self._keep(asyncio.get_running_loop().create_task(coroutine))

    def _keep(self, task):
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_back(self, aput_back, pairs):
        self._keep(asyncio.current_task())
        await aput_back(pairs)


async def receive_in_thread(layer, channels, limit, block, timeout):
    """
    Return what the layer's receive_batch() takes, called in a thread.

    If the caller is cancelled, the thread ends soon and what it took goes back.
    """
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    handoff = Handoff()

    def run():
        pairs, error = [], None
        try:
            pairs = _take(layer, handoff, channels, limit, block, timeout)
            while pairs and not loop.is_running():
                # It may stand still for ever, and others may wait for these.
                _put_back(layer, pairs)
                pairs = []
                if _wait_for_loop(loop, handoff):
                    pairs = _take(layer, handoff, channels, limit, block, timeout)
        except Exception as exception:
            error = exception
        if not handoff.deliver(pairs):
            return _put_back(layer, pairs)
        try:
            loop.call_soon_threadsafe(_settle, future, pairs, error)
        except RuntimeError:
            # The loop was closed: nobody is left to take them.
            _put_back(layer, handoff.abandon())

    threading.Thread(target=run, name="channel layer receive", daemon=True).start()
    try:
        return await future
    except BaseException:
        if pairs := handoff.abandon():
            threading.Thread(target=_put_back, args=(layer, pairs)).start()
        raise


def _take(layer, handoff, channels, limit, block, timeout):
    if not block:
        return layer.receive_batch(channels, limit)
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        begun = time.monotonic()
        wait = LOOK_UP_SECONDS if until is None else max(0, until - begun)
        wait = min(wait, LOOK_UP_SECONDS)
        pairs = layer.receive_batch(channels, limit, block=True, timeout=wait)
        now = time.monotonic()
        # Nothing, and yet earlier than asked for: the layer was closed.
        ended = now < begun + 0.9 * wait or until is not None and now >= until
        if pairs or ended or handoff.abandoned:
            return pairs


def _wait_for_loop(loop, handoff):
    """Return True when a loop runs again, False if its task is gone."""
    running = threading.Event()
    try:
        loop.call_soon_threadsafe(running.set)
    except RuntimeError:
        return False
    while not running.wait(LOOK_UP_SECONDS):
        if handoff.abandoned or loop.is_closed():
            return False
    return True


def _settle(future, pairs, error):
    if future.done():
        return
    if error is None:
        future.set_result(pairs)
    else:
        future.set_exception(error)


def _put_back(layer, pairs):
    if not pairs:
        return
    refused = [error for error in layer.put_back(pairs) if error is not None]
    if refused:
        logger.error(
            "%s lost %d messages that a cancelled receive had taken: %s",
            type(layer).__name__,
            len(refused),
            refused[0],
        )
