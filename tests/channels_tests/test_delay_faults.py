"""The loop of rundelay while its layer, its database or a commit fails."""

import threading
from contextlib import contextmanager
from io import StringIO
from unittest import mock

from django.channels.exceptions import LayerUnavailable
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError
from django.db import OperationalError, connections
from django.test import SimpleTestCase, override_settings
from django.test.channel_layers import cites

from .databases import PostgreSQLTestCase, SQLiteTestCase
from .delays import LOGGER, NEVER, TABLE, DelayTests
from .layers import MEMORY, SpanningLayer, layer_settings
from .services.waiting import wait_for
from .test_docs import read
from .utils import TIMEOUT

SPANNING = f"{SpanningLayer.__module__}.{SpanningLayer.__name__}"


class FaultTests(DelayTests):
    @cites("DL-9", "stay where they are kept")
    def test_what_is_due_stays_while_the_layer_is_away(self):
        self.keep(content={"n": 1})
        calls = threading.Semaphore(0)

        def receive(*args):
            calls.release()
            raise LayerUnavailable("The store is away.")

        raw = self.layer.channel_layer
        with mock.patch.object(raw, "receive_batch", receive):
            with self.assertLogs("django.channels.receiving", "ERROR") as logs:
                self.run_worker(database_sleep_duration=0.01)
                for _ in range(2):
                    self.assertTrue(calls.acquire(timeout=TIMEOUT))
            self.assertEqual(self.objects.count(), 1)
        self.assertIn("fails for asgi.delay: The store is away.", logs.output[0])
        self.assertEqual(self.receive(), {"n": 1})

    def test_a_send_that_fails_is_not_repeated(self):
        """The messages may have been stored; twice would be worse than never."""
        self.keep(content={"n": 1})
        self.keep(content={"n": 2}, delay=300)
        raw, failed = self.layer.channel_layer, []

        def send_batch(pairs, send=raw.send_batch):
            if not failed:
                failed.append(send(pairs))
                raise LayerUnavailable("The answer was lost.")
            return send(pairs)

        with mock.patch.object(raw, "send_batch", send_batch):
            with self.assertLogs(LOGGER, "ERROR") as logs:
                self.run_worker()
                self.assertEqual([self.receive()["n"] for _ in range(2)], [1, 2])
                # It is logged when the messages are on the layer.
                wait_for(lambda: logs.output, "it is logged")
        self.assertIn("for target: The answer was lost.", logs.output[0])
        self.assertEqual(self.layer.statistics("target")["messages_count"], 2)

    def test_messages_wait_for_a_database_that_is_away(self):
        with self.table_away():
            with self.assertLogs(LOGGER, "ERROR") as logs:
                self.run_worker(database_sleep_duration=NEVER)
                self.ask(n=1)
                wait_for(lambda: len(logs.output) > 1, "it is tried again")
        self.assertIn("The database of delayed messages fails: ", logs.output[0])
        self.assertEqual(self.receive(), {"n": 1})

    @cites("DL-2", "keep messages where they survive its end")
    def test_messages_that_could_not_be_stored_are_given_back(self):
        with self.table_away():
            self.ask(delay=90_000, n=1)
            with self.assertLogs(LOGGER, "ERROR") as logs:
                worker = self.run_worker()
                wait_for(lambda: logs.output, "it is tried")
                worker.end()
            message = self.layer.receive(["asgi.delay"])[1]
        self.assertTrue(60_000 < message.pop("delay") <= 90_000)
        self.assertEqual(message, {"channel": "target", "content": {"n": 1}})


class CommitTests(DelayTests):
    """For a DelayTests: an error of a commit leaves open what is stored."""

    @contextmanager
    def commits_failing(self, really):
        """Have the next commit raise, having committed or not."""
        wrapper = type(connections[self.using])
        failures = [1]

        def commit(connection, commit=wrapper._commit):
            if failures and threading.current_thread().name == "saving":
                failures.pop()
                if not really:
                    connection._rollback()
                else:
                    commit(connection)
                raise OperationalError("The answer was lost.")
            return commit(connection)

        with mock.patch.object(wrapper, "_commit", commit):
            yield

    def save(self, keeper):
        """Save in a thread, in which commits may fail; return what is raised."""
        errors = []

        def run():
            try:
                keeper.save()
            except OperationalError as error:
                errors.append(str(error))
            finally:
                connections[self.using].close()

        thread = threading.Thread(target=run, name="saving")
        thread.start()
        thread.join()
        return errors

    def make_keeper(self, **fields):
        from django.channels.delay.keeper import Keeper

        keeper = Keeper(self.using)
        keeper.unsaved = [self.make(content={"n": n}, **fields) for n in range(3)]
        return keeper

    def test_what_was_committed_is_not_stored_again(self):
        keeper = self.make_keeper(delay=90_000)
        with self.commits_failing(really=True):
            self.assertEqual(self.save(keeper), ["The answer was lost."])
        self.assertEqual(keeper.sure(), [])
        self.assertEqual(self.save(keeper), [])
        self.assertEqual(self.objects.count(), 3)

    def test_what_was_not_committed_is_stored(self):
        keeper = self.make_keeper(delay=90_000)
        with self.commits_failing(really=False):
            self.assertEqual(self.save(keeper), ["The answer was lost."])
        self.assertEqual(self.save(keeper), [])
        self.assertEqual(self.objects.count(), 3)

    def test_what_somebody_may_have_sent_is_not_stored_again(self):
        keeper = self.make_keeper(delay=0)
        with self.commits_failing(really=True):
            self.save(keeper)
        self.objects.all().claim(2)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.assertEqual(self.save(keeper), [])
        self.assertEqual(len(logs.output), 2)
        self.assertIn("and may have been sent.", logs.output[0])
        self.assertEqual(self.objects.count(), 1)


class SQLiteFaultTests(FaultTests, CommitTests, SQLiteTestCase, SimpleTestCase):
    def test_a_message_that_the_database_refuses_holds_up_no_other(self):
        self.patch("keeper", "MAX_SAVES", 3)
        self.execute(
            f"CREATE TRIGGER refusal BEFORE INSERT ON {TABLE} "
            "WHEN NEW.channel_name = 'refused' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        self.addCleanup(self.execute, "DROP TRIGGER refusal")
        for n, channel in enumerate(("target", "refused", "target")):
            self.ask(channel=channel, delay=1 + n, n=n)
        with self.assertLogs(LOGGER, "ERROR") as logs:
            self.run_worker()
            self.assertEqual([self.receive()["n"] for _ in range(2)], [0, 2])
        self.assertIn(
            "Dropped a delayed message for refused, which the database refused 3 "
            "times: no",
            logs.output[-1],
        )

    def call(self, *args, backend=SPANNING):
        """Run the command, with the app's models in the database of the test."""
        router = mock.Mock(spec=["db_for_write"])
        router.db_for_write.return_value = self.using
        with override_settings(
            CHANNEL_LAYERS=layer_settings(backend=backend), DATABASE_ROUTERS=[router]
        ):
            call_command("rundelay", *args, stdout=StringIO())

    def test_the_options_of_the_command_are_documented(self):
        section = read("ref/channels/commands.txt").partition("\n``rundelay``\n")[2]
        section = section.partition("\n\n``")[0]
        parser = load_command_class("django.channels.delay", "rundelay").create_parser(
            "", ""
        )
        for option in "--layer", "--sleep":
            self.assertIn(option, parser._option_string_actions)
            self.assertIn(f":: {option} ", section)
        self.assertEqual(parser.get_default("sleep"), 1)
        self.assertIn("database. Defaults to 1.", section)

    def test_the_command_says_what_is_wrong(self):
        for args, error in (
            (["--layer=other"], "There is no channel layer 'other'"),
            (["--sleep=0"], "--sleep must be a number of seconds above 0"),
            (["--sleep=nan"], "--sleep must be a number of seconds above 0"),
        ):
            with self.subTest(args=args):
                with self.assertRaisesMessage(CommandError, error):
                    self.call(*args)
        with self.assertRaisesMessage(CommandError, "does not span processes"):
            self.call(backend=MEMORY)
        with self.table_away():
            with self.assertRaisesMessage(CommandError, "has migrate been run?"):
                self.call()


class PostgreSQLFaultTests(FaultTests, CommitTests, PostgreSQLTestCase, SimpleTestCase):
    def test_it_goes_on_after_the_database_was_restarted(self):
        self.ask(delay=90_000, n=1)
        worker = self.run_worker()
        wait_for(lambda: self.objects.count() == 1, "the message is kept")
        connections[self.using].close()
        server = self.server
        with self.assertLogs(LOGGER, "ERROR"):
            server.kill()
            server.restart()
            self.ask(n=2)
            self.assertEqual(self.receive(), {"n": 2})
        worker.end()
        self.assertEqual(self.objects.count(), 1)
