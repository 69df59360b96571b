"""
Who looks after the threads of a worker group.

In: the workers and what they run now. Out: other threads in the place of dead
ones, messages back onto the layer that wait too long, consumers cut off that run
too long.
"""

import logging
import sys
import threading
import time
import traceback

from django.channels.backoff import Backoff

# Seconds between two looks.
LOOK_SECONDS = 0.25
# Seconds until a thread in the place of a dead one starts, and the most.
FIRST_BACKOFF_SECONDS = 0.25
LAST_BACKOFF_SECONDS = 5.0
# Seconds that a thread lives before its death counts as the first.
QUICK_DEATH_SECONDS = 10.0
# Seconds in which a coroutine ends that was cancelled.
CANCEL_SECONDS = 1.0

logger = logging.getLogger("django.channels.worker")


class _Place:
    """One of the threads, and who is in its place when it dies."""

    def __init__(self, number, worker):
        self.number = number
        self.worker = worker
        self.thread = None
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self.started = self.restart_at = 0

    def start(self):
        """Start a thread that runs the worker."""
        self.started = time.monotonic()
        self.thread = threading.Thread(
            target=self._run,
            args=(self.worker,),
            name=f"channels-worker-{self.number}",
            daemon=True,
        )
        self.thread.start()

    def note_death(self):
        """Decide when the next one starts."""
        now = time.monotonic()
        if now - self.started >= QUICK_DEATH_SECONDS:
            self._backoff.reset()
        seconds = self._backoff.next()
        self.restart_at = now + seconds
        logger.error(
            "%s died; another one starts in %.2f s.", self.thread.name, seconds
        )
        self.thread = None

    def _run(self, worker):
        try:
            worker.ready()
            worker.run()
        except BaseException:
            logger.exception("%s failed:", threading.current_thread().name)


class Watch:
    """
    Starts and watches the threads of a WorkerGroup, in a thread of its own.

    See WorkerGroup for the arguments.
    """

    def __init__(self, group, journal=None, time_limit=None, on_overdue=None):
        self._group = group
        self._journal = journal
        self._time_limit = time_limit
        self._on_overdue = on_overdue
        self._places = [_Place(*item) for item in enumerate(group.workers, 1)]
        # Threads whose consumer ran too long.
        self._overdue = []
        # {task of a consumer that was cancelled: when it is to have ended}
        self._cancelled = {}
        self._stopping = threading.Event()
        self._thread = None

    @property
    def threads(self):
        """The threads of the workers."""
        return [place.thread for place in self._places if place.thread is not None]

    def start(self):
        """Start the threads."""
        self._stopping.clear()
        self._beat()
        for place in self._places:
            place.start()
        self._thread = threading.Thread(
            target=self._run, name="channels-watch", daemon=True
        )
        self._thread.start()

    def stop(self, left):
        """
        Wait for the threads; return whether all ended.

        ``left()`` are the seconds that they have. Those that ran too long before
        are not waited for.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for place in self._places:
            if place.thread is None:
                continue
            place.thread.join(left())
            if place.thread.is_alive():
                _log_cut(place)
        alive = any(place.thread and place.thread.is_alive() for place in self._places)
        return not alive and not self._overdue

    def _run(self):
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._beat()
                self._group.prefetch.give_back_waiting()
                for place in self._places:
                    self._look_at(place)
                if self._time_limit is not None:
                    self._find_overdue()
            except Exception:
                logger.exception("Cannot look after the workers:")

    def _beat(self):
        if self._journal is not None:
            self._journal.beat()

    def _look_at(self, place):
        if place.thread is None:
            if time.monotonic() >= place.restart_at:
                place.start()
        elif not place.thread.is_alive() and not place.worker.termed:
            place.note_death()

    # Consumers that run too long.

    def _find_overdue(self):
        now = time.monotonic()
        for place in self._places:
            job = place.worker.job
            if job is not None and now - job[0] >= self._time_limit:
                self._give_up(place, job)
        self._cancel_coroutines(now)

    def _give_up(self, place, job):
        frame = sys._current_frames().get(place.thread.ident)
        if place.worker.job is not job:
            # It has ended meanwhile.
            return
        _log_overdue(_describe(job), self._time_limit, frame)
        self._overdue.append(place.thread)
        # Its thread ends when it does; nobody waits for that.
        place.worker.termed = place.worker.is_replaced = True
        place.thread, place.worker = None, self._group.replace(place.worker)
        self._tell()

    def _cancel_coroutines(self, now):
        coroutines = self._group.coroutines
        overdue = coroutines.overdue(self._time_limit)
        for task, label in overdue:
            if task not in self._cancelled:
                frames = task.get_stack(limit=1)
                _log_overdue(label, self._time_limit, frames[0] if frames else None)
                self._cancelled[task] = now + CANCEL_SECONDS
                coroutines.cancel(task)
        running = {task for task, _ in overdue}
        self._cancelled = {t: d for t, d in self._cancelled.items() if t in running}
        if any(now >= until for until in self._cancelled.values()):
            frame = sys._current_frames().get(coroutines.ident)
            _log_overdue("the loop of coroutines", CANCEL_SECONDS, frame)
            self._cancelled = dict.fromkeys(self._cancelled, now + self._time_limit)
            self._overdue.append(coroutines)
            self._tell()

    def _tell(self):
        if self._on_overdue is not None:
            self._on_overdue()


def _log_overdue(what, seconds, frame):
    stack = "".join(traceback.format_stack(frame)) if frame else "(nothing)"
    logger.error(
        "More than %s s: %s runs too long. It is at:\n%s", seconds, what, stack
    )


def _log_cut(place):
    if (job := place.worker.job) is not None:
        logger.error("Cut off %s: no time left.", _describe(job))


def _describe(job):
    """Return in some words what a thread does."""
    if job[1] is None:
        return "the synchronous code of a coroutine"
    return f"a consumer for a message on {job[1]}"
