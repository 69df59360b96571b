"""
A live server by uvicorn, on an event loop of its thread.

In: a socket that listens, from serving.py. Out: connections of an application.
"""

import asyncio
import logging

from uvicorn import Config, Server

# Seconds that open connections have to end in.
CLOSE_SECONDS = 2
# Seconds that another thread waits for what it asks for, at the most.
ANSWER_SECONDS = 60
# Seconds between two looks whether connections have ended.
LOOK_SECONDS = 0.01

logger = logging.getLogger("django.channels.test")


class UvicornServer:
    """Serves an application in the thread that calls serve()."""

    def __init__(self):
        self._server = None
        self._loop = None

    def serve(self, application, listener, on_ready, on_end):
        """
        Serve until stop() is called.

        ``on_ready()`` is called before, and ``on_end()`` while replies can still
        be sent.
        """
        asyncio.run(self._serve(application, listener, on_ready, on_end))

    def end_connections(self):
        """Close the connections that there are, and wait for their ends."""
        ending = asyncio.run_coroutine_threadsafe(self._end_connections(), self._loop)
        ending.result(ANSWER_SECONDS)

    def stop(self):
        """Have serve() return."""
        self._server.should_exit = True

    async def _serve(self, application, listener, on_ready, on_end):
        config = Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
        self._server, self._loop = Server(config), asyncio.get_running_loop()
        on_ready()
        try:
            await self._server.serve(sockets=[listener])
        finally:
            await asyncio.to_thread(on_end)

    async def _end_connections(self):
        state = self._server.server_state
        for connection in list(state.connections):
            try:
                connection.shutdown()
            except Exception as error:
                # Libraries refuse that where the client is already closing.
                logger.debug("%r was ending already: %s", connection, error)
        await self._wait_for_ends(state)
        for connection in list(state.connections):
            # A client that does not answer would stay into the next test.
            connection.transport.abort()
        await self._wait_for_ends(state)

    async def _wait_for_ends(self, state):
        deadline = self._loop.time() + CLOSE_SECONDS
        while (state.connections or state.tasks) and self._loop.time() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
