"""What a socket sends without its own task, and to whom that is the task's."""

import asyncio
import contextvars
import sys
from importlib.util import find_spec

from django.channels.interface.eager import run_eagerly
from django.test import SimpleTestCase

from .test_interface_websocket import WebSocketTestCase

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class EagerTests(SimpleTestCase):
    """A task that waits, and coroutines that are run in its name."""

    async def begin(self):
        self.context = contextvars.copy_context()
        self.work = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self.wait_for_work())
        await asyncio.sleep(0)

    async def wait_for_work(self):
        return await (await self.work)

    def run_eagerly(self, coroutine):
        return run_eagerly(coroutine, self.task, self.context)

    async def end(self, rest):
        """Have the task bring what is left to its end; return the result."""
        self.work.set_result(rest)
        return await self.task

    async def test_what_need_not_wait_is_done_at_once(self):
        await self.begin()
        found = []

        async def note():
            found.append(asyncio.current_task())

        here = asyncio.current_task()
        self.assertIsNone(self.run_eagerly(note()))
        self.assertEqual(found, [self.task])
        self.assertIs(asyncio.current_task(), here)
        self.task.cancel()

    async def test_it_can_be_run_in_a_callback(self):
        await self.begin()
        loop, found = asyncio.get_running_loop(), new_future()

        async def note():
            found.set_result(asyncio.current_task())

        loop.call_soon(self.run_eagerly, note())
        self.assertIs(await found, self.task)
        self.task.cancel()

    async def test_the_task_ends_what_has_to_wait(self):
        await self.begin()
        future, steps = new_future(), []

        async def wait():
            steps.append(asyncio.current_task())
            await asyncio.sleep(0)
            result = await future
            steps.append(asyncio.current_task())
            return result

        rest = self.run_eagerly(wait())
        asyncio.get_running_loop().call_soon(future.set_result, "result")
        self.assertEqual(await self.end(rest), "result")
        self.assertEqual(steps, [self.task] * 2)

    async def test_a_timeout_is_one_of_the_task(self):
        await self.begin()

        async def wait():
            try:
                await asyncio.wait_for(new_future(), 0.01)
            except asyncio.TimeoutError:
                return "timeout"

        self.assertEqual(await self.end(self.run_eagerly(wait())), "timeout")

    async def test_context_variables_are_kept(self):
        await self.begin()
        future, found = new_future(), []

        async def wait():
            token = VARIABLE.set("set")
            await future
            found.append(VARIABLE.get())
            VARIABLE.reset(token)

        rest = self.run_eagerly(wait())
        self.assertEqual(VARIABLE.get(), "unset")
        future.set_result(None)
        await self.end(rest)
        self.assertEqual(found, ["set"])

    async def test_an_exception_is_the_tasks(self):
        for waits in (False, True):
            with self.subTest(waits=waits):
                await self.begin()

                async def fail():
                    if waits:
                        await asyncio.sleep(0)
                    raise OSError("gone")

                rest = self.run_eagerly(fail())
                with self.assertRaisesMessage(OSError, "gone"):
                    await self.end(rest)

    async def test_whoever_cancels_the_task_cancels_it(self):
        await self.begin()
        ended = []

        async def wait():
            try:
                await new_future()
            finally:
                ended.append(True)

        self.work.set_result(self.run_eagerly(wait()))
        await asyncio.sleep(0)
        self.task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await self.task
        self.assertEqual(ended, [True])

    async def test_a_task_that_was_cancelled_meanwhile_cancels_it(self):
        waits, done = new_future(), new_future()
        for awaited in (waits, done, asyncio.sleep(0)):
            with self.subTest(awaited=awaited):
                await self.begin()
                ended = []

                async def wait():
                    try:
                        await awaited
                    except asyncio.CancelledError:
                        # It may wait to clean up.
                        await asyncio.sleep(0)
                        ended.append(asyncio.current_task())
                        raise

                rest = self.run_eagerly(wait())
                if awaited is done:
                    done.set_result(None)
                rest.cancel(asyncio.CancelledError("why"))
                with self.assertRaises(asyncio.CancelledError):
                    await self.end(rest)
                self.assertEqual(ended, [self.task])
        self.assertTrue(waits.cancelled())

    async def test_a_task_that_was_cancelled_meanwhile_raises_no_other_error(self):
        await self.begin()

        async def fail():
            raise OSError("gone")

        rest = self.run_eagerly(fail())
        rest.cancel(asyncio.CancelledError())
        with self.assertRaises(asyncio.CancelledError):
            await self.end(rest)


def autobahn_errors():
    """Return what Daphne raises, if it is installed."""
    if find_spec("autobahn") is None:
        return []
    from autobahn.exception import Disconnected

    return [Disconnected("gone")]


class SocketTests(WebSocketTestCase):
    """Sockets on a server that may have to wait until it can send."""

    def make_client(self, **options):
        client = super().make_client(**options)
        application = client.application
        self.room, self.error, self.senders = asyncio.Event(), None, []
        self.room.set()
        self.replies = application.replies
        # What there is around send() and behind receive().
        self.middleware = send_on
        self.on_event = bool

        async def with_send(scope, receive, send):
            async def send_later(event):
                self.senders.append(asyncio.current_task())
                await self.room.wait()
                if self.error is not None:
                    raise self.error
                await send(event)

            async def send_around(event):
                await self.middleware(event, send_later)

            async def receive_around():
                event = await receive()
                self.on_event(event)
                return event

            self.connection = asyncio.current_task()
            await application(scope, receive_around, send_around)

        client.application = with_send
        return client

    async def test_texts_are_sent_in_the_name_of_the_connection(self):
        client, connect = await self.open()
        for number in range(3):
            await self.reply(connect, text=str(number))
            event = await client.get()
            self.assertEqual(event, {"type": "websocket.send", "text": str(number)})
        self.assertEqual(set(self.senders), {self.connection})
        await client.disconnect()

    async def test_what_has_to_wait_comes_before_what_follows(self):
        client, connect = await self.open()
        self.room.clear()
        for number in range(3):
            await self.reply(connect, text=str(number))
        await self.reply(connect, close=True)
        self.assertTrue(await client.receive_nothing())
        self.room.set()
        events = [await client.get() for _ in range(4)]
        texts = [event.get("text") for event in events]
        self.assertEqual(texts, ["0", "1", "2", None])
        self.assertEqual(events[3]["type"], "websocket.close")
        await client.disconnect()

    async def test_a_client_that_is_gone_ends_the_socket(self):
        for error in (OSError("gone"), *autobahn_errors()):
            with self.subTest(error=error):
                client, connect = await self.open()
                self.error = error
                await self.reply(connect, text="1")
                await self.reply(connect, text="2")
                await client.disconnect(1006)
                await self.assertDisconnected(code=1006)
                self.assertEqual(len(self.senders), 2)

    async def test_an_error_of_the_server_is_raised_to_it(self):
        client, connect = await self.open()
        self.error = ValueError("broken")
        await self.reply(connect, text="1")
        with self.assertRaisesMessage(ValueError, "broken"):
            await client.ended()

    async def test_a_socket_that_ends_while_one_waits(self):
        client, connect = await self.open()
        self.room.clear()
        await self.reply(connect, text="1")
        self.assertTrue(await client.receive_nothing())
        await client.put("websocket.disconnect", code=1001)
        # What waits is ended by the server.
        self.error = OSError("gone")
        self.room.set()
        await client.ended()
        await self.assertDisconnected(code=1001)

    async def test_a_client_that_reads_nothing_is_closed(self):
        limits = {"WEBSOCKET_PENDING_MESSAGES": 2}
        client, connect = await self.open(limits=limits)
        self.room.clear()
        with self.assertLogs("django.channels.interface", "WARNING") as logs:
            for number in range(4):
                await self.reply(connect, text=str(number))
            self.assertTrue(await client.receive_nothing())
        self.assertIn("it does not read its messages", logs.output[0])
        self.room.set()
        self.assertEqual((await client.get())["text"], "0")
        self.assertEqual((await client.get())["type"], "websocket.close")
        await client.disconnect()

    async def test_a_timeout_that_is_over_at_once_is_not_the_sockets_end(self):
        client, connect = await self.open()

        async def with_timeout(event, send):
            task = asyncio.current_task()
            asyncio.get_running_loop().call_soon(task.cancel)
            try:
                await new_future()
            except asyncio.CancelledError:
                if sys.version_info >= (3, 11):
                    task.uncancel()
            await send(event)

        self.middleware = with_timeout
        for number in range(3):
            await self.reply(connect, text=str(number))
            self.assertEqual((await client.get())["text"], str(number))
        await client.disconnect()

    async def test_a_server_that_cancels_cancels_what_waits(self):
        client, connect = await self.open()
        found = []

        async def clean_up(event, send):
            asyncio.get_running_loop().call_soon(self.connection.cancel)
            try:
                await new_future()
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                found.append(event["text"])
                raise

        self.middleware = clean_up
        await self.reply(connect, text="1")
        with self.assertRaises(asyncio.CancelledError):
            await client.future
        self.assertEqual(found, ["1"])
        await self.assertDisconnected(code=1006)

    async def test_what_was_begun_comes_to_its_end_after_the_socket(self):
        client, connect = await self.open()
        found = []

        async def clean_up(event, send):
            client.input_queue.put_nowait({"type": "websocket.disconnect"})
            try:
                await asyncio.sleep(0)
            finally:
                await asyncio.sleep(0)
                found.append(event["text"])

        self.middleware = clean_up
        await self.reply(connect, text="1")
        await client.ended()
        self.assertEqual(found, ["1"])
        await self.assertDisconnected(code=1006)

    async def test_nothing_is_begun_after_the_socket_ended(self):
        client, connect = await self.open()

        def reply_at_once(event):
            batch = [(connect["reply_channel"], {"text": "late"})]
            asyncio.get_running_loop().call_soon(self.replies._hand_over, batch)

        self.on_event = reply_at_once
        await client.disconnect()
        # Of accept.
        self.assertEqual(len(self.senders), 1)

    async def test_context_variables_are_one_sockets(self):
        client = self.make_client()
        found = []

        async def keep(event, send):
            found.append(VARIABLE.get())
            VARIABLE.set(event["type"])
            await send(event)

        self.middleware = keep
        await client.put("websocket.connect")
        connect = await self.next_message()
        await self.reply(connect, accept=True)
        await client.get()
        for content in ({"text": "1"}, {"bytes": b"2"}):
            await self.reply(connect, **content)
            await client.get()
        sent = "websocket.send"
        self.assertEqual(found, ["unset", "websocket.accept", sent])
        await client.disconnect()


async def send_on(event, send):
    await send(event)


def new_future():
    return asyncio.get_running_loop().create_future()
