"""runworker with processes: how they end, are replaced and reload."""

import itertools
import os
import signal
import sys
from functools import partial
from io import StringIO
from unittest.mock import ANY

from django.channels import route
from django.channels.worker import runworker
from django.channels.worker.supervisor import _Place
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings, tag

from .layers import SpanningLayer, layer_settings, make_layer
from .processes import Process, manage
from .utils import TIMEOUT
from .workers import ROUTING, WorkersTestCase

# Tells what the garbage collector leaves alone.
FROZEN = """

import gc


def frozen(message):
    tell(count=gc.get_freeze_count())


channel_routing.append(route("frozen", frozen))
"""

# Fetches what there is, and keeps it.
FETCHING_ALL = """

from django.channels.worker import prefetch

prefetch.FETCHED_SECONDS = prefetch.WAITING_SECONDS = 3600.0
"""

# However slow its loop is, a coroutine that was cancelled has time to end.
PATIENT_WITH_COROUTINES = """

from django.channels.worker import watch

watch.CANCEL_SECONDS = 60.0
"""

# Its layer waits for an answer before it takes back what was fetched.
SLOW_TO_PUT_BACK = """

from django.channels.backends.ipc import IPCChannelLayer

put_back = IPCChannelLayer.put_back


def put_back_slowly(self, pairs):
    tell(back=len(pairs))
    self.receive(["go"], block=True, timeout=60)
    return put_back(self, pairs)


IPCChannelLayer.put_back = put_back_slowly
"""

# A routing whose import waits for an answer.
SLOW_IMPORT = """

from django.channels.backends.ipc import IPCChannelLayer

print("importing", flush=True)
layer = IPCChannelLayer(path=os.environ["LAYER_PATH"])
layer.receive(["go"], block=True, timeout=60)
layer.close()
"""

# A process in which nothing that consumers send leaves in time.
WITHOUT_SENDING = """

from django.channels.worker.sender import Sender

Sender._take_locked = lambda self: []
Sender.take_turn = lambda self, next_seconds=None: None


def reply(message):
    tell(began=message["n"])
    Channel("results").send({"n": message["n"]})


channel_routing.append(route("reply", reply))
"""


class OptionTests(SimpleTestCase):
    backend = f"{SpanningLayer.__module__}.SpanningLayer"

    def assertRefused(self, msg, *args):
        with override_settings(CHANNEL_LAYERS=layer_settings(backend=self.backend)):
            with self.assertRaisesMessage(CommandError, msg):
                call_command("runworker", *args, stdout=StringIO(), skip_checks=True)

    def test_numbers_that_make_no_sense_are_named(self):
        for option, value, msg in (
            ("threads", 0, "--threads must be 1 or more, not 0."),
            ("processes", -1, "--processes must be 1 or more, not -1."),
            (
                "stop-timeout",
                "nan",
                "--stop-timeout must be a number of seconds above 0, not nan.",
            ),
            (
                "time-limit",
                0,
                "--time-limit must be a number of seconds above 0, not 0.0.",
            ),
        ):
            with self.subTest(option=option):
                self.assertRefused(msg, f"--{option}={value}")

    def test_the_reloader_runs_one_process(self):
        self.assertRefused(
            "--autoreload runs one process: --processes must be 1, not 2.",
            "--autoreload",
            "--processes=2",
        )


class AloneTests(SimpleTestCase):
    """Where there are no processes to supervise."""

    options = {"threads": 2, "time_limit": None, "stop_timeout": TIMEOUT}
    options |= {"only_channels": None, "exclude_channels": None}

    def test_a_signal_ends_the_workers_of_this_process(self):
        seen = []
        layer = make_layer([route("a", lambda m: seen.append(m["n"]))])
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            with self.subTest(signal=number):
                layer.send("a", {"n": number})
                done = runworker.run_alone(
                    layer, self.options, partial(self.interrupt, layer, seen, number)
                )
                self.assertIs(done, True)
        self.assertEqual(seen, [signal.SIGTERM, signal.SIGINT])

    def interrupt(self, layer, seen, number):
        # Whoever sends it does so before the wait for it begins.
        while number not in seen:
            layer.receive(["never"], block=True, timeout=0.01)
        signal.raise_signal(number)


class CalledFromCodeTests(WorkersTestCase):
    def test_processes_have_the_same_options(self):
        code = (
            "import django; django.setup();"
            "from django.core.management import call_command;"
            "call_command('runworker', processes=2, exclude_channels=['hold*'])"
        )
        environ = self.environ(DJANGO_SETTINGS_MODULE="mysite.settings")
        process = Process([sys.executable, "-c", code], self.directory, environ)
        self.addCleanup(process.kill)
        process.wait_for_line("Running worker against channel layer default")
        self.send_numbers("hold", 1)
        self.send_numbers("work", 3)
        self.assertEqual(self.numbers(3), [0, 1, 2])
        self.assertEqual(self.pending("hold"), 1)
        self.assertEnds(process)


class StoppingTests(WorkersTestCase):
    def hold(self, channel="hold", count=4):
        """Have a consumer of one of several messages run, and others fetched."""
        # Until it knows that they are quick, a worker fetches one at a time.
        self.send_numbers("work", 100)
        self.numbers(100)
        self.send_numbers(channel, count)
        self.assertEqual(self.result()["began"], 0)

    def test_sigterm_lets_a_consumer_finish_and_puts_the_rest_back(self):
        process = self.start()
        self.hold()
        process.send_signal(signal.SIGTERM)
        process.wait_for_line("Beginning nothing more")
        self.assertEqual(self.pending("hold"), 3)
        self.send("answers", {})
        self.assertEqual(process.wait(), 0)
        self.assertEqual(self.result(), {"ended": 0})
        self.assertNothingMore()
        # They are where they were, in their order.
        pairs = self.layer.receive_batch(["hold"], 10)
        self.assertEqual([message["n"] for _, message in pairs], [1, 2, 3])

    def test_a_consumer_past_the_deadline_is_cut_off_and_named(self):
        process = self.start("--stop-timeout=0.2")
        self.hold(count=1)
        self.assertEnds(process, code=1)
        process.wait_for_line("Cut off a consumer for a message on hold")
        process.wait_for_line("A consumer did not finish within 0.2 s.")

    def test_a_second_ctrl_c_ends_it_at_once(self):
        process = self.start()
        self.hold(count=3)
        process.interrupt()
        process.wait_for_line("consumers have 30 s. Ctrl-C ends them at once.")
        process.interrupt()
        self.assertEqual(process.wait(), 1)
        process.wait_for_line("Ending the workers at once.")
        # The consumer's message was begun, the others were not.
        self.assertEqual(self.pending("hold"), 2)

    def test_a_second_ctrl_c_lets_messages_go_back_first(self):
        self.routing.write_text(ROUTING + FETCHING_ALL + SLOW_TO_PUT_BACK)
        process = self.start()
        # Until it knows how long they take, a worker fetches one at a time.
        self.send_numbers("work", 100)
        self.numbers(100)
        self.layer.send_batch([("hold", {"n": number}) for number in range(3)])
        self.assertEqual(self.result()["began"], 0)
        process.interrupt()
        self.assertEqual(self.result(), {"pid": ANY, "back": 2})
        process.interrupt()
        process.wait_for_line("Ending the workers at once.")
        self.send("go", {})
        self.assertEqual(process.wait(), 1)
        self.assertEqual(self.pending("hold"), 2)

    def test_coroutines_finish_as_well(self):
        process = self.start()
        self.send_numbers("ahold", 2)
        self.assertEqual(sorted(r["began"] for r in self.results(2)), [0, 1])
        process.send_signal(signal.SIGTERM)
        self.send("answers", {}, {})
        self.assertEqual(process.wait(), 0)
        results = self.results(4)
        self.assertEqual(sorted(r["ended"] for r in results if "ended" in r), [0, 1])
        self.assertNothingMore()

    def test_a_killed_supervisor_ends_its_processes(self):
        process = self.start()
        process.send_signal(signal.SIGKILL)
        # The output ends when nobody is left who could write.
        self.assertEqual(process.wait(), -signal.SIGKILL)


class BackoffTests(SimpleTestCase):
    def test_what_ends_again_and_again_is_waited_for_longer(self):
        place = _Place()
        delays = [place.delay() for _ in range(8)]
        self.assertEqual(delays, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
        # Those that start and then die are worth another try soon.
        self.assertEqual([place.delay(0.5) for _ in range(2)], [1.0, 1.0])
        self.assertEqual([place.delay(5), place.delay(5)], [0.1, 0.1])


class ReplacementTests(WorkersTestCase):
    def test_what_a_killed_process_had_fetched_is_consumed_by_the_next(self):
        self.routing.write_text(ROUTING + FETCHING_ALL)
        process = self.start()
        # Until it knows how long they take, a worker fetches one at a time.
        self.send_numbers("work", 100)
        (pid,) = {result["pid"] for result in self.results(100)}
        messages = [("hold", {"n": 0}), *(("work", {"n": n}) for n in range(5))]
        self.layer.send_batch(messages)
        self.assertEqual(self.result()["began"], 0)
        self.assertEqual(self.pending("work"), 0)
        os.kill(pid, signal.SIGKILL)
        results = self.results(5)
        self.assertEqual([result["n"] for result in results], [*range(5)])
        self.assertNotIn(pid, {result["pid"] for result in results})
        process.wait_for_line(f"Worker process {pid} was ended by SIGKILL; another")
        self.assertEnds(process)
        self.assertNothingMore()

    def test_an_exit_code_of_a_consumer_is_told_as_it_is(self):
        process = self.start()
        for code in 1, 3, 4:
            self.send("poison", {"how": f"os._exit({code})"})
            process.wait_for_line(f"ended with exit code {code}; another one starts")
        self.assertEnds(process)

    def test_poison_is_delivered_once_and_takes_nothing_with_it(self):
        process = self.start()
        self.send_numbers("work", 100)
        self.numbers(100)
        for how in (
            "1 / 0",
            "sys.exit(7)",
            "os._exit(5)",
            "os.kill(os.getpid(), 9)",
        ):
            with self.subTest(how=how):
                self.send("poison", {"how": how})
                self.send_numbers("work", 20)
                began, *results = self.results(21)
                self.assertEqual(began["began"], how)
                # What waited for a thread for too long comes behind what came later.
                self.assertEqual(sorted(r["n"] for r in results), [*range(20)])
                self.assertNothingMore()
        process.wait_for_line("ended with exit code 5; another one starts in")
        self.assertEnds(process)

    def test_the_collector_leaves_alone_what_a_process_starts_with(self):
        self.routing.write_text(ROUTING + FROZEN)
        process = self.start()
        self.send("frozen", {})
        self.assertGreater(self.result()["count"], 10_000)
        self.assertEnds(process)

    def test_what_others_sent_leaves_although_their_process_is_killed(self):
        self.routing.write_text(ROUTING + WITHOUT_SENDING)
        process = self.start()
        self.send_numbers("reply", 3)
        self.assertEqual([r["began"] for r in self.results(3)], [0, 1, 2])
        self.send("poison", {"how": "os._exit(5)"})
        self.assertEqual(self.result()["began"], "os._exit(5)")
        self.assertEqual(self.results(3), [{"n": 0}, {"n": 1}, {"n": 2}])
        self.assertNothingMore()
        self.assertEnds(process)

    def test_poison_in_a_coroutine_is_delivered_once(self):
        process = self.start()
        for how in ("1 / 0", "sys.exit(7)", "os._exit(5)"):
            with self.subTest(how=how):
                self.send("apoison", {"how": how})
                self.assertEqual(self.result()["began"], how)
                if "_exit" in how:
                    # What its other threads had begun would be lost with it.
                    process.wait_for_line("ended with exit code 5; another one")
                self.send_numbers("work", 3)
                self.assertEqual(self.numbers(3), [0, 1, 2])
        self.assertEnds(process)
        self.assertNothingMore()

    def test_several_processes_share_the_work(self):
        process = self.start("--processes=2")
        self.send_numbers("hold", 2)
        pids = {result["pid"] for result in self.results(2)}
        self.assertEqual(len(pids), 2)
        self.send("answers", {}, {})
        self.assertEnds(process)

    def test_a_process_that_never_starts_is_tried_again_more_slowly(self):
        process = self.start()
        self.send_numbers("work", 1)
        pid = self.result()["pid"]
        self.routing.write_text("raise RuntimeError('broken')")
        os.kill(pid, signal.SIGKILL)
        process.wait_for_line(r"ended with exit code 1; another one starts in 0\.[24]")
        self.routing.write_text(ROUTING)
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        self.assertEnds(process)


class TimeLimitTests(WorkersTestCase):
    """The limit is longer than a busy machine holds up a consumer that is quick."""

    def test_an_endless_loop_is_logged_and_its_process_replaced(self):
        self.routing.write_text(ROUTING + FETCHING_ALL)
        process = self.start("--time-limit=2", "--stop-timeout=5")
        # Until it knows how long they take, a worker fetches one at a time.
        self.send_numbers("work", 100)
        self.numbers(100)
        messages = [("poison", {"how": "loop()"})]
        self.layer.send_batch(messages + [("work", {"n": n}) for n in range(5)])
        self.assertEqual(self.result()["began"], "loop()")
        self.assertEqual(self.numbers(5), [*range(5)])
        process.wait_for_line(
            "More than 2.0 s: a consumer for a message on poison runs too"
        )
        process.wait_for_line("in loop")
        process.wait_for_line("ended because of a consumer past its time limit; ano")
        self.assertEnds(process)
        self.assertNothingMore()

    def test_a_coroutine_is_cancelled(self):
        self.routing.write_text(ROUTING + PATIENT_WITH_COROUTINES)
        process = self.start("--time-limit=2")
        self.send("politely", {})
        pid = self.result()["pid"]
        process.wait_for_line(
            "More than 2.0 s: consumer mysite.routing.loop_politely for a"
        )
        process.wait_for_line("CancelledError")
        self.send_numbers("work", 1)
        self.assertEqual(self.result(), {"pid": pid, "n": 0})
        self.assertEnds(process)

    def test_a_coroutine_that_blocks_the_loop_has_its_process_replaced(self):
        process = self.start("--time-limit=2", "--stop-timeout=1")
        self.send("apoison", {"how": "loop()"})
        self.assertEqual(self.result()["began"], "loop()")
        process.wait_for_line("ended because of a consumer past its time limit; ano")
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        self.assertEnds(process)

    @tag("slow")
    def test_a_process_in_which_no_thread_can_move_is_replaced(self):
        process = self.start("--time-limit=2", "--stop-timeout=0.5")
        # Python's regular expressions keep all threads waiting.
        self.send("poison", {"how": "re.match('(a+)+$', 'a' * 50 + 'b')"})
        self.result()
        process.wait_for_line(r"stands still for more than 7\.5 s: cut off")
        process.wait_for_line("was ended by SIGABRT; another one starts")
        process.wait_for_line(r"in poison$")
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        self.assertEnds(process)


class ReloadTests(WorkersTestCase):
    def change(self):
        self.routing.write_text(ROUTING.replace("n=message", "new=message"))

    def test_sighup_brings_the_code_as_it_is_now(self):
        process = self.start()
        self.send_numbers("hold", 1)
        old = self.result()["pid"]
        self.change()
        process.send_signal(signal.SIGHUP)
        self.wait_for(self.new_code_runs, "a fresh process consumes")
        self.send("answers", {})
        ended = self.result()
        while "ended" not in ended:
            ended = self.result()
        self.wait_for(lambda: not _lives(old), "the old process ends")
        self.assertEnds(process)

    def new_code_runs(self):
        self.send_numbers("work", 1)
        return "new" in self.result()

    def test_sighup_before_there_are_workers_ends_nothing(self):
        self.routing.write_text(ROUTING + SLOW_IMPORT)
        process = manage(self.directory, "runworker", env=self.environ())
        self.addCleanup(process.kill)
        process.wait_for_line("importing")
        process.send_signal(signal.SIGHUP)
        # One imports the routing for the checks, another one to work.
        self.send("go", {}, {})
        process.wait_for_line("Running worker against channel layer default")
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        self.assertEnds(process)

    def test_the_old_process_goes_on_if_the_fresh_one_does_not_start(self):
        process = self.start()
        self.send_numbers("work", 1)
        old = self.result()["pid"]
        self.routing.write_text("raise RuntimeError('broken')")
        process.send_signal(signal.SIGHUP)
        process.wait_for_line("before it was ready: the old one goes on")
        self.send_numbers("work", 1)
        self.assertEqual(self.result()["pid"], old)
        self.assertEnds(process)

    def test_the_reloader_starts_again_when_a_file_changes(self):
        process = self.start("--autoreload")
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        self.change()
        times = itertools.count(2**31 - 10_000)

        def is_noticed():
            # The reloader looks for the first time when everything runs.
            os.utime(self.routing, (next(times),) * 2)
            return "routing.py changed, reloading." in process.output

        self.wait_for(is_noticed, "the change is noticed")
        process.wait_for_line("Running worker against channel layer", count=2)
        self.send_numbers("work", 1)
        self.assertEqual(self.result()["new"], 0)
        self.assertEnds(process)


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
