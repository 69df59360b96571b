"""
How the messages of connections come to consumers in this process: in lanes.

In: messages of the connections in http.py and websocket.py. Out: calls of the
consumer, in threads of this process.

Messages of one lane are consumed in order; a lane that refuses a message raises
ChannelFull.
"""

import os
import queue
import threading
import time
from collections import Counter, deque

from django.channels.exceptions import ChannelFull

# Messages of one lane that a thread consumes before it takes the next lane.
SLICE = 16


class Lane:
    """The messages of one connection that wait for a thread."""

    # See LayerDispatcher.
    keeps_order = True

    def __init__(self, dispatcher):
        self._dispatcher = dispatcher
        self.messages = deque()
        # Whether a thread has the lane, or will take it from the ready ones.
        self.scheduled = False

    async def send(self, channel, message):
        """Queue a message; raise ChannelFull if too many wait."""
        self._dispatcher.put(self, channel, message)

    def send_now(self, channel, message):
        """See send(). Called without an event loop."""
        self._dispatcher.put(self, channel, message)

    def abandon(self):
        """Forget the messages that no thread has begun to consume."""
        self._dispatcher.discard(self)


class LaneDispatcher:
    """
    Has messages consumed by threads of this process.

    ``consume(channel, message)`` is called for each. It returns None when it is
    done, or the concurrent.futures.Future of the end, for which the lane waits
    without a thread. A lane is with one thread at a time, so that its messages
    keep their order; a slow one delays no other while a thread is free. A first
    message is refused when as many wait on its channel as ``get_capacity(channel)``
    says, a later one when ``pending`` of its lane wait; websocket.disconnect never.
    """

    def __init__(self, consume, get_capacity, threads=4, pending=None):
        self._consume = consume
        self._get_capacity = get_capacity
        self._threads = threads
        self._pending = pending
        self._reset()

    def _reset(self):
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._ready = queue.SimpleQueue()
        self._waiting = Counter()
        self._lanes_busy = 0
        self._idle = threading.Condition(self._lock)
        self._started = []
        self._stopping = False

    def open(self):
        """Return a lane for a new connection."""
        if self._pid != os.getpid():
            # After a fork, the threads are the parent's.
            self._reset()
        return Lane(self)

    async def send_batch(self, channel, messages):
        """Queue [(lane, message), …]; return None or a ChannelFull for each."""
        results = []
        for lane, message in messages:
            try:
                self.put(lane, channel, message)
                results.append(None)
            except ChannelFull as error:
                results.append(error)
        return results

    def put(self, lane, channel, message):
        """Queue a message in a lane; raise ChannelFull if too many wait."""
        with self._lock:
            self._check_room(lane, channel, message)
            if not lane.scheduled and len(self._started) < self._threads:
                self._start_thread()
            lane.messages.append((channel, message))
            self._waiting[channel] += 1
            if lane.scheduled:
                return
            lane.scheduled = True
            self._lanes_busy += 1
        self._ready.put(lane)

    def discard(self, lane):
        """Forget the messages of a lane that no thread has begun to consume."""
        with self._lock:
            for channel, _ in lane.messages:
                self._waiting[channel] -= 1
            lane.messages.clear()

    def stop(self, timeout):
        """
        Consume what waits, then end the threads; return whether all was done.

        Whatever is not begun after ``timeout`` seconds is dropped.
        """
        deadline = time.monotonic() + timeout
        with self._idle:
            done = self._idle.wait_for(lambda: not self._lanes_busy, timeout)
            self._stopping = True
            threads, self._started = self._started, []
        for _ in threads:
            self._ready.put(None)
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        return done

    def _check_room(self, lane, channel, message):
        if channel == "websocket.disconnect":
            return
        if not lane.messages and message.get("order", 0) == 0:
            waiting, capacity = self._waiting[channel], self._get_capacity(channel)
        else:
            waiting, capacity = len(lane.messages), self._pending
        if capacity is not None and waiting >= capacity:
            raise ChannelFull(
                f"{waiting} messages wait on {channel}; it holds {capacity}."
            )

    def _start_thread(self):
        thread = threading.Thread(
            target=self._run,
            args=(self._ready,),
            name=f"channels-consumer-{len(self._started) + 1}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            # None starts any more when the process ends; others may be there.
            if not self._started:
                raise
        else:
            self._started.append(thread)

    def _run(self, ready):
        while (lane := ready.get()) is not None:
            for _ in range(SLICE):
                if (item := self._take(lane)) is None:
                    break
                if (run := self._consume(*item)) is not None:
                    # It goes on without a thread, and the lane waits for it.
                    run.add_done_callback(lambda _, lane=lane: ready.put(lane))
                    break
            else:
                # Others first; the lane stays scheduled.
                ready.put(lane)

    def _take(self, lane):
        """Return a lane's next message; release the lane if there is none."""
        with self._lock:
            if lane.messages and not self._stopping:
                channel, message = lane.messages.popleft()
                self._waiting[channel] -= 1
                return channel, message
            lane.scheduled = False
            self._lanes_busy -= 1
            if not self._lanes_busy:
                self._idle.notify_all()
            return None
