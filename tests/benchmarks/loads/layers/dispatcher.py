"""Empty consumers of the memory layer, run by a worker or in a bare loop."""

import threading
import time

from commands import Commands, describe

# Messages that wait in the beginning of each part of a turn.
MESSAGES = 10_000
CHANNEL = "bench.work"


class Dispatcher:
    """A layer with a routing, and how its messages are consumed."""

    def __init__(self):
        from django.channels import route
        from django.channels.backends.memory import MemoryChannelLayer
        from django.channels.layers import ChannelLayerWrapper

        async def coroutine(message):
            self._count()

        routing = [
            route(CHANNEL, lambda message: self._count()),
            route(f"{CHANNEL}.async", coroutine),
        ]
        self._layer = ChannelLayerWrapper(
            MemoryChannelLayer(capacity=MESSAGES), "default", routing
        )
        self._done = threading.Event()

    def worker(self, seconds):
        """Have one thread of a WorkerGroup consume."""
        return self._measure(seconds, CHANNEL)

    def coroutines(self, seconds):
        """Have its loop consume."""
        return self._measure(seconds, f"{CHANNEL}.async")

    def bare(self, seconds):
        """Receive as many at a time as a worker does, and call a function."""
        count = taken = 0
        while taken < seconds:
            self._fill(CHANNEL)
            begun = time.perf_counter()
            while pairs := self._layer.receive_batch([CHANNEL], 100):
                for _, content in pairs:
                    self._count()
            taken += time.perf_counter() - begun
            count += MESSAGES
        return {"value": count / taken, "seconds": taken}

    def _fill(self, channel):
        self._left = MESSAGES
        self._done.clear()
        for number in range(MESSAGES):
            self._layer.send(channel, {"n": number})

    def _count(self):
        self._left -= 1
        if not self._left:
            self._done.set()

    def _measure(self, seconds, channel):
        from django.channels.worker import WorkerGroup

        count = taken = 0
        while taken < seconds:
            self._fill(channel)
            # Its thread starts within the time, as does what learns the pace.
            group = WorkerGroup(self._layer)
            begun = time.perf_counter()
            group.start()
            self._done.wait()
            taken += time.perf_counter() - begun
            count += MESSAGES
            group.stop(10)
        return {"value": count / taken, "seconds": taken}


def main():
    """Consume whenever the harness says so."""
    commands = Commands()
    try:
        import django
        from django.conf import settings

        settings.configure(
            CHANNEL_LAYERS={},
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": ":memory:",
                }
            },
        )
        django.setup()
        dispatcher = Dispatcher()
        commands.answer(result="ready")
        while True:
            name, arguments = commands.next()
            commands.answer(result=getattr(dispatcher, name)(**arguments))
    except Exception as error:
        commands.answer(error=describe(error))


if __name__ == "__main__":
    main()
