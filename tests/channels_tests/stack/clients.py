"""
Clients that send numbered texts over sockets, and keep books on the answers.

They run on an event loop in a thread of the test.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter

from ..utils import TIMEOUT

# Seconds that a client waits for an answer before it goes on without: where one
# may be lost, and where each comes, be it late.
FAULTY_SECONDS, FAULTLESS_SECONDS = 3.0, TIMEOUT


class Talker:
    """One client: it sends a text, waits for its echo, and sends the next."""

    def __init__(self, crowd, name):
        self.name = name
        self.sent = {}
        self.heard = Counter()
        # The broadcasts that it heard.
        self.broadcasts = Counter()
        # The names of its sockets, and how each of them ended.
        self.opened = []
        self.ends = []
        self.socket = None
        # Whether it waits for permission to talk, and for no answer.
        self.is_quiet = False
        self._crowd = crowd
        self._answered = asyncio.Event()
        self._number = 0

    async def live(self):
        """Be connected until the crowd leaves, again and again if need be."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        while not self._crowd.leaving.is_set():
            try:
                await self._connect()
            except (ConnectionClosed, InvalidHandshake, OSError) as error:
                self.ends.append(error)

    async def _connect(self):
        from websockets.asyncio.client import connect

        name = f"{self.name}.{len(self.opened)}"
        url = self._crowd.next_url()
        options = {"open_timeout": TIMEOUT, "proxy": None}
        async with connect(f"{url}/{name}/", **options) as self.socket:
            self.opened.append(name)
            self._crowd.changed.set()
            listening = asyncio.ensure_future(self._listen())
            talking = asyncio.ensure_future(self._talk())
            tasks = [listening, talking]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def _listen(self):
        async for text in self.socket:
            if text.startswith("all "):
                self.broadcasts[text] += 1
                self._crowd.changed.set()
                continue
            self.heard[text] += 1
            if text in self.sent:
                self._crowd.note_delay(time.monotonic() - self.sent[text])
            self._answered.set()

    async def _talk(self):
        while await self._may_talk():
            text = f"{self.name} {self._number}"
            self._number += 1
            self._answered.clear()
            self.sent[text] = time.monotonic()
            await self.socket.send(text)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    self._answered.wait(), self._crowd.answer_seconds
                )
            self._crowd.answered()

    async def _may_talk(self):
        """Return whether to say more, as soon as that is so."""
        self.is_quiet = True
        self._crowd.changed.set()
        await self._crowd.talking.wait()
        self.is_quiet = False
        return not self._crowd.leaving.is_set()


class Crowd:
    """
    Clients of some servers. As a context manager, it leaves at the end.

    ``faulty`` says that answers may be lost. ``slowest`` is how many seconds one
    took at the most.
    """

    def __init__(self, *servers, faulty=False):
        self.answer_seconds = FAULTY_SECONDS if faulty else FAULTLESS_SECONDS
        self.slowest = 0.0
        self.urls = [f"ws://127.0.0.1:{server.port}" for server in servers]
        self.talkers = []
        self.leaving = None
        self.talking = None
        # Set when a client is connected, or has heard a broadcast.
        self.changed = None
        self._turn = 0
        self._answers = 0
        self._progress = threading.Condition()
        self._lives = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.call(self._set_up())
        return self

    def __exit__(self, *exc_info):
        self.call(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()

    def call(self, coroutine):
        """Return what a coroutine returns, run on the loop of the clients."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(2 * TIMEOUT)

    def join(self, count):
        """Have more clients, which begin to talk when they are connected."""
        self.call(self._join(count))

    def be_quiet(self):
        """Have the clients stay connected and say nothing; return when they do."""
        self.call(self._be_quiet())

    def progress(self, answers):
        """Return when the clients have got, or missed, so many more answers."""
        with self._progress:
            goal = self._answers + answers
            if not self._progress.wait_for(lambda: self._answers >= goal, 2 * TIMEOUT):
                raise AssertionError(
                    f"{goal - self._answers} of {answers} answers have not come."
                )

    def broadcast(self, text):
        """Have one client say something to all; return when all have heard it."""
        self.call(self._broadcast(f"all {text}"))

    def talk(self):
        """Have the clients go on."""
        self.call(self._talk())

    # Called by the clients.

    def next_url(self):
        """Return the servers in turn."""
        self._turn += 1
        return self.urls[self._turn % len(self.urls)]

    def note_delay(self, seconds):
        """Note how long an answer took."""
        self.slowest = max(self.slowest, seconds)

    def answered(self):
        """Count an answer."""
        with self._progress:
            self._answers += 1
            self._progress.notify_all()

    # On the loop.

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _set_up(self):
        self.leaving, self.talking = asyncio.Event(), asyncio.Event()
        self.changed = asyncio.Event()
        self.talking.set()

    async def _until(self, condition, seconds):
        async def wait():
            while not condition():
                self.changed.clear()
                await self.changed.wait()

        await asyncio.wait_for(wait(), seconds)

    async def _be_quiet(self):
        self.talking.clear()
        await self._until(lambda: all(t.is_quiet for t in self.talkers), TIMEOUT)

    async def _talk(self):
        self.talking.set()

    async def _join(self, count):
        start = len(self.talkers)
        talkers = [Talker(self, f"c{start + n}") for n in range(count)]
        self.talkers += talkers
        self._lives += [asyncio.ensure_future(talker.live()) for talker in talkers]
        await self._until(lambda: all(talker.opened for talker in talkers), TIMEOUT)

    async def _broadcast(self, text):
        await self.talkers[0].socket.send(text)
        await self._until(
            lambda: all(talker.broadcasts[text] for talker in self.talkers), TIMEOUT
        )

    async def _leave(self):
        self.leaving.set()
        self.talking.set()
        await asyncio.wait_for(asyncio.gather(*self._lives), TIMEOUT)

    # Books.

    def duplicates(self):
        """Return the texts that were heard more than once."""
        return [t for talker in self.talkers for t, n in talker.heard.items() if n > 1]

    def phantoms(self):
        """Return the texts that were heard and never sent."""
        return [t for k in self.talkers for t in k.heard if t not in k.sent]

    def lost(self):
        """Return {text: when it was sent} of what was never answered."""
        return {
            text: when
            for talker in self.talkers
            for text, when in talker.sent.items()
            if text not in talker.heard
        }

    def opened(self):
        """Return the names of all sockets that were open."""
        return [name for talker in self.talkers for name in talker.opened]

    def ends(self):
        """Return why sockets ended before the crowd left."""
        return [end for talker in self.talkers for end in talker.ends]
