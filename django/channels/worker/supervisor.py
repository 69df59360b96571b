"""
The process that looks after worker processes: one, or several.

In: signals, and the ends of worker processes. Out: new processes in their places,
and onto the layer what they had fetched and not begun, see journal.py, and what
their consumers sent and what had not left, see outgoing.py.
"""

import contextlib
import logging
import selectors
import signal
import socket
import time

from django.channels.backoff import Backoff
from django.channels.layers import channel_layers
from django.channels.outbox import Outbox
from django.channels.worker import reports
from django.channels.worker.childprocess import ChildProcess
from django.channels.worker.workerprocess import READY, describe_exit

# Seconds until a process in the place of one that ended starts, and the most: for
# those that were ready, and for those that never came so far.
FIRST_BACKOFF_SECONDS = 0.1
LAST_READY_BACKOFF_SECONDS = 1.0
LAST_BACKOFF_SECONDS = 5.0
# Seconds that a process is ready before its end counts as the first.
QUICK_END_SECONDS = 1.0
# Seconds between two looks at the processes whose consumers have a time limit.
LOOK_SECONDS = 1.0
# Seconds that processes which are to end at once have to put back what they fetched.
GIVING_BACK_SECONDS = 3.0

logger = logging.getLogger("django.channels.worker")


class _Place:
    """One of the processes, and who comes when it ends."""

    def __init__(self):
        self.process = None
        # What takes the process's place when it is ready.
        self.fresh = None
        self.start_at = 0
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)

    def delay(self, ready_seconds=None):
        """
        Decide when the next process starts; return in how many seconds.

        The last one was ready for so many seconds, None if it never was.
        """
        self._backoff.last = LAST_BACKOFF_SECONDS
        if ready_seconds is not None:
            self._backoff.last = LAST_READY_BACKOFF_SECONDS
            if ready_seconds >= QUICK_END_SECONDS:
                self._backoff.reset()
        seconds = self._backoff.next()
        self.start_at = time.monotonic() + seconds
        return seconds


class Supervisor:
    """
    Keeps ``count`` processes of a command running against a layer.

    SIGTERM and Ctrl-C end them, a second Ctrl-C at once; SIGHUP has fresh ones
    take their places. A process has ``stop_seconds`` to finish what runs, and is
    killed when it has stood still for ``still_seconds``. ``on_ready()`` is called
    when all run for the first time.
    """

    def __init__(
        self, command, count, channel_layer, stop_seconds, still_seconds, on_ready
    ):
        self._command = command
        self._layer = channel_layer
        self._stop_seconds = stop_seconds
        self._still_seconds = still_seconds
        self._on_ready = on_ready
        self._places = [_Place() for _ in range(count)]
        # Every process that has not ended, also those whose place is taken.
        self._processes = []
        self._signals = []
        self._is_stopping = False
        # Was no consumer cut off?
        self._is_clean = True

    def run(self):
        """
        Run until a signal says to stop; return whether all consumers finished.

        Call it on the main thread.
        """
        with self._signals_caught() as self._selector:
            try:
                while self._processes or not self._is_stopping:
                    self._step()
            finally:
                self._end_now()
        return self._is_clean

    @contextlib.contextmanager
    def _signals_caught(self):
        """Have signals noted; give a selector that they wake."""
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        handlers = {n: signal.signal(n, self._note_signal) for n in numbers}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector, reader, writer:
            selector.register(reader, selectors.EVENT_READ)
            try:
                yield selector
            finally:
                signal.set_wakeup_fd(wakeup)
                for number, handler in handlers.items():
                    signal.signal(number, handler)

    def _note_signal(self, number, frame):
        self._signals.append(number)

    def _step(self):
        """Wait until there is something to do, and do it."""
        if not self._is_stopping:
            self._fill()
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if key.data is None:
                # What a signal wrote.
                key.fileobj.recv(4096)
            elif not (heard := key.data.hear()):
                # It ends; its exit code tells the rest.
                self._selector.unregister(key.fileobj)
            elif READY in heard:
                self._welcome(key.data)
        while self._signals:
            self._obey(self._signals.pop(0))
        for process in [p for p in self._processes if p.poll() is not None]:
            self._bury(process)
        self._find_late(time.monotonic())

    def _seconds_to_wait(self):
        times = [p.kill_at for p in self._processes if p.kill_at is not None]
        if not self._is_stopping:
            times += [p.start_at for p in self._places if p.process is None]
        if self._still_seconds is not None:
            times.append(time.monotonic() + LOOK_SECONDS)
        return max(0, min(times) - time.monotonic()) if times else None

    # Signals.

    def _obey(self, number):
        if number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGINT and self._is_stopping:
            logger.warning("Ending the workers at once.")
            self._is_clean = False
            self._end_now()
        elif number in (signal.SIGINT, signal.SIGTERM):
            logger.info(
                "Stopping: running consumers have %g s.%s",
                self._stop_seconds,
                " Ctrl-C ends them at once." if number == signal.SIGINT else "",
            )
            self._is_stopping = True
            for process in self._processes:
                process.end(self._stop_seconds)

    def _reload(self):
        if self._is_stopping:
            return
        logger.info("Starting fresh worker processes.")
        for place in self._places:
            if place.process is not None and place.fresh is None:
                place.fresh = self._start(place)

    # Processes.

    def _fill(self):
        now = time.monotonic()
        for place in self._places:
            if place.process is None and now >= place.start_at:
                place.process = self._start(place)

    def _start(self, place):
        """Return a new process for a place, None if it cannot be started."""
        try:
            process = ChildProcess(self._command, place)
        except OSError as error:
            seconds = place.delay()
            logger.error(
                "Cannot start a worker process: %s. The next try is in %.1f s.",
                error,
                seconds,
            )
            return None
        self._processes.append(process)
        self._selector.register(process.line, selectors.EVENT_READ, process)
        return process

    def _welcome(self, process):
        """Note that a process is ready; end the one whose place it takes."""
        place = process.place
        if place.fresh is process:
            old, place.process, place.fresh = place.process, process, None
            old.end(self._stop_seconds)
        if self._on_ready and all(
            p.process and p.process.is_ready for p in self._places
        ):
            self._on_ready()
            self._on_ready = None

    def _bury(self, process):
        """Put back what a process that has ended had fetched, and see who is next."""
        self._processes.remove(process)
        with contextlib.suppress(KeyError):
            self._selector.unregister(process.line)
        rest, awaited, outgoing = process.close()
        self._send(outgoing)
        self._put_back(rest)
        reports.tell_lost(self._layer, awaited)
        code, place = process.poll(), process.place
        if process.is_ending and code != 0 and process.is_ready:
            self._is_clean = False
            logger.error("Worker process %s %s.", process.pid, describe_exit(code))
        if place.fresh is process:
            place.fresh = None
            logger.error(
                "Fresh worker process %s %s before it was ready: the old one goes on.",
                process.pid,
                describe_exit(code),
            )
        elif place.process is process:
            place.process, place.fresh = place.fresh, None
            if place.process is None and not self._is_stopping:
                self._announce_next(process, place, code)

    def _announce_next(self, process, place, code):
        seconds = place.delay(process.ready_seconds())
        logger.error(
            "Worker process %s %s; another one starts in %.1f s.",
            process.pid,
            describe_exit(code),
            seconds,
        )

    def _send(self, sends):
        """Send what consumers that succeeded had sent; the log has what cannot be."""
        outbox = Outbox()
        for alias, *send in sends:
            outbox.hold(channel_layers[alias], *send)
        outbox.flush()

    def _put_back(self, pairs):
        if not pairs:
            return
        try:
            errors = [e for e in self._layer.put_back(pairs) if e is not None]
        except Exception as error:
            # Whether it has them is not known, and they must not come twice.
            errors = [error] * len(pairs)
        logger.info("Put %d messages back that were not begun.", len(pairs))
        if errors:
            logger.error(
                "Lost %d messages that a worker process had fetched and not begun: %s",
                len(errors),
                errors[0],
            )

    def _find_late(self, now):
        for process in self._processes:
            if process.kill_at is not None and now >= process.kill_at:
                logger.error(
                    "Worker process %s did not end in time: cut off.", process.pid
                )
                process.kill()
            elif process.stands_still(self._still_seconds):
                logger.error(
                    "Worker process %s stands still for more than %s s: cut off.",
                    process.pid,
                    self._still_seconds,
                )
                process.abort()

    def _end_now(self):
        """Kill every process there is, and put back what they leave."""
        deadline = time.monotonic() + GIVING_BACK_SECONDS
        for process in self._processes:
            process.let_give_back(deadline)
            process.kill()
        for process in list(self._processes):
            process.wait()
            self._bury(process)
