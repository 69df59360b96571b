import io
import json
import os
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from lib import ROOT, bench_command
from lib.errors import ToolError

sys.path.append(str(ROOT / "tests"))

from benchmarks import records, wsgi  # noqa: E402
from benchmarks.comparison import Comparison, Variant  # noqa: E402
from benchmarks.figures import Figure, Measurement, alternate, ratios  # noqa: E402
from benchmarks.loader import TRIES, Loader  # noqa: E402
from benchmarks.servers import (  # noqa: E402
    Server,
    cpu_seconds_by_process,
    process_cpu_seconds,
)

# Answers every request alike, on the port that is its argument.
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"Hello, world.")

    def log_message(self, *args):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def measured(operations, seconds, cpu=1.0):
    return Measurement(operations, seconds, cpu, 0.5, 0.1)


class FigureTests(unittest.TestCase):
    def test_the_spread_is_the_quartiles(self):
        self.assertEqual(Figure.of([5, 1, 4, 2, 3]), Figure(3, 2, 4))

    def test_one_value_has_no_spread(self):
        self.assertEqual(Figure.of(iter([7])), Figure(7, 7, 7))

    def test_one_outlier_moves_neither_median_nor_quartiles_far(self):
        self.assertEqual(Figure.of([1, 2, 3, 4, 1000]), Figure(3, 2, 4))

    def test_a_figure_is_shown_with_its_spread(self):
        self.assertEqual(
            Figure(1234.5, 0.123, 2000).show(1), "1,234.5 (0.1 to 2,000.0)"
        )

    def test_a_measurement_knows_rate_and_costs(self):
        run = Measurement(200, 4.0, 0.5, 1.0, 2.0)
        self.assertEqual((run.rate, run.cpu), (50, 2500))
        self.assertEqual((run.loader_share, run.other_share), (0.25, 0.5))

    def test_the_sum_of_runs_weighs_them_by_their_time(self):
        whole = Measurement.sum([measured(100, 1.0), measured(100, 3.0)])
        self.assertEqual(whole, Measurement(200, 4.0, 2.0, 1.0, 0.2))
        self.assertEqual(whole.rate, 50)

    def test_ratios_are_taken_pair_by_pair(self):
        ours = [measured(10, 1), measured(100, 1)]
        peers = [measured(5, 1), measured(200, 1)]
        self.assertEqual(ratios(ours, peers, "rate"), [2, 0.5])
        self.assertEqual(ratios(ours, peers, "cpu"), [0.5, 2])

    def test_unequal_numbers_of_runs_have_no_ratio(self):
        with self.assertRaises(ValueError):
            ratios([measured(1, 1)], [], "rate")

    def test_every_second_turn_goes_backward(self):
        self.assertEqual("".join(alternate("abc", 3)), "abccbaabc")


class FolderTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.environment = SimpleNamespace(
            python=sys.executable, environ=lambda: dict(os.environ)
        )

    def script(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def server(self, text=SERVER):
        script = self.script("server.py", text)
        command = [sys.executable, script, "{port}"]
        return Server(command, dict(os.environ), self.folder, self.folder / "log")


class ServerTests(FolderTests):
    def test_every_process_is_seen_with_its_cpu(self):
        before = process_cpu_seconds(os.getpid())
        self.assertGreater(before, 0)
        self.assertGreaterEqual(cpu_seconds_by_process()[os.getpid()], before)

    def test_a_server_serves_uses_cpu_and_ends(self):
        with self.server() as server:
            self.assertGreater(server.cpu_seconds(), 0)
        self.assertEqual(server.cpu_seconds(), 0)

    def test_a_server_that_ends_at_once_is_an_error(self):
        server = self.server("raise SystemExit('no such module')")
        with self.assertRaisesRegex(
            ToolError, "server.py .* does not serve: see .*log"
        ):
            server.__enter__()
        self.assertEqual((self.folder / "log").read_text(), "no such module\n")


class LoaderTests(FolderTests):
    def load(self, server, **options):
        return Loader(self.environment, server, "gets", options)

    def test_requests_are_answered_and_counted(self):
        with self.server() as server, self.load(server) as loader:
            for _ in range(2):
                run = loader.measure(0.05)
                self.assertGreater(run.operations, 0)
                self.assertGreaterEqual(run.seconds, 0.05)
                self.assertGreater(run.server_cpu_seconds, 0)

    def test_wrong_answers_are_an_error(self):
        with self.server() as server, self.load(server, expected="Bye.") as loader:
            with self.assertRaisesRegex(ToolError, "\\d answers are wrong or missing"):
                loader.measure(0.05)

    def test_a_disturbed_run_is_repeated(self):
        for shares, kept, runs in (
            ([0.05, 0.0], 0.05, 1),
            ([0.5, 0.1], 0.1, 2),
            ([0.5, 0.4, 0.3, 0.6, 0.5, 0.0], 0.3, TRIES),
        ):
            with self.subTest(shares=shares):
                results = [Measurement(1, 1.0, 0, 0, share) for share in shares]
                loader = Loader(self.environment, SimpleNamespace(port=1), "gets", {})
                with mock.patch.object(loader, "measure", side_effect=results) as run:
                    best = loader.measure_quietly(1.0)
                self.assertEqual((best.other_share, run.call_count), (kept, runs))

    def test_a_load_that_fails_is_an_error_with_its_last_line(self):
        loads = mock.patch("benchmarks.loader.LOADS", self.folder)
        self.script("failing.py", "raise SystemExit('first\\nlast')")
        with self.server() as server, loads:
            loader = Loader(self.environment, server, "failing", {})
            with self.assertRaisesRegex(ToolError, "The load failed: last "):
                loader.__enter__()


class FakeVariant(Variant):
    """Measures without a server: its options are the rate."""

    def start(self, stack, environment, load_name, options):
        stack.callback(options["ended"].append, self.name)
        rate = self.options
        return SimpleNamespace(
            measure_quietly=lambda seconds: measured(rate * seconds, seconds, seconds)
        )


class ComparisonTests(unittest.TestCase):
    def compare(self, rounds=3):
        self.ended = []
        variants = [
            FakeVariant(name, [name, "{port}"], {}, "", rate)
            for name, rate in (("ours", 3000), ("peer", 2000))
        ]
        lines = []
        work = Comparison("a test", "requests", "gets", {"ended": self.ended}, variants)
        return work.run(None, rounds, 2.0, lines.append), lines

    def test_every_round_has_servers_of_its_own(self):
        self.compare(rounds=2)
        self.assertEqual(self.ended, ["peer", "ours"] * 2)

    def test_the_ratio_is_ours_to_the_peers(self):
        record, lines = self.compare()
        self.assertAlmostEqual(record["ratios"]["peer"]["rate"]["median"], 1.5)
        self.assertIn(
            "  ours / peer: rate 1.500 (1.500 to 1.500), CPU 0.667", lines[-1]
        )
        self.assertIn("3,000 (3,000 to 3,000) requests/s, 333 ", lines[1])

    def test_the_record_has_every_run_and_command(self):
        record, _ = self.compare()
        self.assertEqual(len(record["runs"]["ours"]), 3)
        self.assertAlmostEqual(record["runs"]["ours"][0]["operations"], 6000)
        self.assertEqual(record["commands"]["peer"], "peer {port}")

    def test_a_round_has_as_many_seconds_as_asked_for(self):
        record, _ = self.compare(rounds=1)
        run = record["runs"]["peer"][0]
        self.assertAlmostEqual(run["seconds"], 2.0)
        self.assertAlmostEqual(run["server_cpu_seconds"], 2.0)


class JudgementTests(unittest.TestCase):
    def judge(self, ratio):
        figures = {"rate": {"median": ratio}, "cpu": {"median": 1.0}}
        wsgi.judge({"ratios": {"pristine": figures}})

    def test_wsgi_may_differ_by_three_percent(self):
        for ratio in (0.97, 1.0, 1.03):
            self.judge(ratio)

    def test_wsgi_may_not_differ_by_more(self):
        for ratio in (0.969, 1.031):
            with self.assertRaisesRegex(ToolError, f"{ratio} times the requests"):
                self.judge(ratio)


class RecordTests(FolderTests):
    def test_a_record_says_when_where_and_how(self):
        environment = SimpleNamespace(
            base=SimpleNamespace(version="3.11.7"),
            packages=lambda: ["Django-5.2.19", "pip-23.0", "daphne-4.2.3"],
        )
        record = records.circumstances(environment, ["scripts/bench", "echo"])
        self.assertEqual(record["command"], "scripts/bench echo")
        self.assertEqual(record["packages"], ["Django-5.2.19", "daphne-4.2.3"])
        self.assertLessEqual(
            {"date", "machine", "load", "python", "revision"}, set(record)
        )

    def test_a_record_is_saved_as_json(self):
        with mock.patch("benchmarks.records.WORK", self.folder / "bench"):
            path = records.save("echo", {"date": "today"})
        self.assertRegex(path.name, r"^\d{8}-\d{6}-echo\.json$")
        self.assertEqual(json.loads(path.read_text()), {"date": "today"})


class CommandTests(unittest.TestCase):
    def test_what_cannot_be_run_is_refused(self):
        for arguments, message in (
            (["ehco"], "no work is called ehco."),
            (["--rounds", "0"], "--rounds must be at least 1, not 0."),
            (["--seconds", "-1"], "--seconds must be above 0, not -1.0."),
        ):
            with self.subTest(arguments=arguments):
                errors = io.StringIO()
                with self.assertRaises(SystemExit), redirect_stderr(errors):
                    bench_command.parse(arguments)
                self.assertIn(message, errors.getvalue())

    def test_every_work_has_comparisons_and_defaults(self):
        side = SimpleNamespace(
            command=lambda *words: [*words],
            environ=lambda **extra: {},
            folder=Path("site"),
            environment=SimpleNamespace(python="python"),
        )
        sides = SimpleNamespace(ours=side, peer=side, environment=side)
        for name in bench_command.WORKS:
            with self.subTest(work=name):
                work = bench_command.find_module(name)
                self.assertGreaterEqual(work.ROUNDS, 3)
                for one in work.comparisons(sides):
                    self.assertGreaterEqual(len(one.variants), 2)
