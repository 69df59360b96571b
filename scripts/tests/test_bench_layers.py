import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from lib import ROOT, bench_command
from lib.errors import ToolError

sys.path.append(str(ROOT / "tests"))

from benchmarks import layers  # noqa: E402
from benchmarks.layers_comparison import LayerComparison  # noqa: E402
from benchmarks.layers_figures import Target, show_table  # noqa: E402
from benchmarks.layers_groups import GroupTable, combine, spread  # noqa: E402
from benchmarks.layers_idle import Idle  # noqa: E402
from benchmarks.layers_processes import (  # noqa: E402
    LOADS,
    REPEATED_SECONDS,
    TRIES,
    Place,
    Process,
    descendants,
)
from benchmarks.layers_variants import Layer, Variant  # noqa: E402


class TargetTests(unittest.TestCase):
    runs = {
        "ours": [{"value": 30}, {"value": 20}, {"value": 40}],
        "peer": [{"value": 10}, {"value": 10}, {"value": 10}],
    }

    def test_the_ratio_is_the_median_of_pairs(self):
        target = Target("at least", 2.5, "ours", "peer").judge(self.runs)
        self.assertEqual(
            (target["low"], target["median"], target["high"]), (2.5, 3, 3.5)
        )
        self.assertIs(target["met"], True)
        self.assertEqual(
            target["text"],
            "ours / peer: 3.00 (2.50 to 3.50); at least 2.5 is the target: met",
        )

    def test_a_missed_target_is_said_plainly(self):
        target = Target("at least", 31, "ours", digits=0).judge(self.runs)
        self.assertEqual(
            target["text"], "ours: 30 (25 to 35); at least 31 is the target: MISSED"
        )

    def test_where_a_limit_is_from_is_said(self):
        target = Target("at least", 1, "peer", digits=0, note="of old")
        self.assertEqual(
            target.judge(self.runs)["text"],
            "peer: 10 (10 to 10); at least 1 is the target (of old): met",
        )

    def test_without_a_limit_a_figure_is_only_shown(self):
        target = Target("at least", None, "ours", "peer").judge(self.runs)
        self.assertEqual(target["text"], "ours / peer: 3.00 (2.50 to 3.50)")
        self.assertIs(target["met"], True)

    def test_a_limit_may_be_reached(self):
        for bound, limit, met in (
            ("at most", 30, True),
            ("at most", 29, False),
            ("at least", 30, True),
            ("at least", 31, False),
        ):
            with self.subTest(bound=bound, limit=limit):
                target = Target(bound, limit, "ours").judge(self.runs)
                self.assertIs(target["met"], met)

    def test_a_missed_target_is_an_error(self):
        record = {"title": "a test", "targets": [{"met": True}]}
        layers.judge(record)
        record["targets"].append({"met": False, "text": "ours: 1"})
        with self.assertRaisesRegex(ToolError, "^ours: 1.$"):
            layers.judge(record)

    def test_a_table_has_columns(self):
        lines = []
        show_table([["", "rate"], ["ours", "1,000"], ["the peer", "9"]], lines.append)
        self.assertEqual(
            lines, ["             rate", "  ours      1,000", "  the peer      9"]
        )


class RunTests(unittest.TestCase):
    def test_what_went_wrong_is_told_after_all_comparisons(self):
        def comparison(title, met):
            result = {"title": title, "targets": [{"met": met, "text": "no"}]}
            return SimpleNamespace(title=title, run=mock.Mock(return_value=result))

        all_of_them = [comparison("a", False), comparison("b", True)]
        all_of_them.append(comparison("c", True))
        all_of_them[2].run.side_effect = ToolError("It is gone.")
        records = mock.Mock(circumstances=lambda *args: {}, save=mock.Mock())
        work = SimpleNamespace(
            ROUNDS=3,
            SECONDS=1.0,
            comparisons=lambda sides: all_of_them,
            judge=layers.judge,
        )
        modules = {"layers": work, "records": records}
        with mock.patch.object(bench_command, "find_module", modules.__getitem__):
            with mock.patch("builtins.print"):
                with self.assertRaisesRegex(ToolError, "^a: no.\n  c: It is gone.$"):
                    options = bench_command.parse(["layers"])
                    bench_command.run("layers", mock.Mock(), options, [])
        _, record = records.save.call_args[0]
        self.assertEqual([one["title"] for one in record["comparisons"]], ["a", "b"])


class FakeVariant(Variant):
    def start(self, place):
        def turn(seconds):
            TURNS.append(self.name)
            return {"value": self.layer.options["rate"], "seconds": seconds}

        return turn


TURNS = []


class ComparisonTests(unittest.TestCase):
    def compare(self, rounds):
        TURNS.clear()
        variants = [
            FakeVariant(name, Layer("memory", options={"rate": rate}))
            for name, rate in (("ours", 3000), ("peer", 2000))
        ]
        targets = [Target("at least", 2, "ours", "peer")]
        lines = []
        work = LayerComparison("a test: of it", "messages/s", variants, targets)
        return work.run(mock.Mock(), rounds, 0.5, lines.append), lines

    def test_variants_are_warmed_up_and_measured_in_turns(self):
        with mock.patch.object(Place, "quietly", lambda self, turn: turn()):
            self.compare(rounds=2)
        self.assertEqual(TURNS, ["ours", "peer", "ours", "peer", "peer", "ours"])

    def test_figures_and_targets_are_shown_and_recorded(self):
        record, lines = self.compare(rounds=1)
        self.assertIn("3,000 (3,000 to 3,000)", lines[2])
        self.assertEqual(record["runs"]["peer"][0]["value"], 2000)
        self.assertIs(record["targets"][0]["met"], False)
        self.assertIn("ours / peer: 1.50", lines[-1])
        json.dumps(record)


class PlaceTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        work = mock.patch("benchmarks.layers_processes.WORK", self.folder)
        work.start()
        self.addCleanup(work.stop)
        self.environment = SimpleNamespace(
            python=sys.executable, environ=lambda **extra: {**os.environ, **extra}
        )

    def process(self, text):
        process = Process([sys.executable, "-c", text], None, self.folder / "log")
        self.addCleanup(process.end)
        return process

    def test_a_process_answers(self):
        process = self.process("input(); print('{\"result\": [1]}')")
        self.assertEqual(process.ask("count", to=1), [1])
        self.assertGreater(process.pid, 0)

    def test_an_error_and_a_silent_end_are_errors_that_name_the_log(self):
        for text, message in (
            ('print(\'{"error": "no such layer"}\')', "no such layer .see .*log"),
            ("", "there was no answer .see .*log"),
        ):
            with self.subTest(text=text):
                with self.assertRaisesRegex(ToolError, message):
                    self.process(text).answer()

    def test_workers_of_a_name_are_started_once_and_end_with_the_place(self):
        with Place(self.environment, "test") as place:
            with mock.patch.object(place, "start") as start:
                start.side_effect = lambda *words: mock.Mock(pid=1)
                first = place.workers("one", {}, 2)
                self.assertIs(place.workers("one", {}, 2), first)
                self.assertEqual(start.call_count, 2)

    def test_folders_are_gone_with_the_place(self):
        with Place(self.environment, "test") as place:
            folders = [place.folder(), place.disk()]
            self.assertTrue(all(folder.is_dir() for folder in folders))
        self.assertFalse(any(folder.exists() for folder in folders))

    def test_a_disturbed_turn_is_repeated(self):
        for shares, kept, runs in (
            ([0.05, 0.0], 0.05, 1),
            ([0.5, 0.1], 0.1, 2),
            ([0.5, 0.4, 0.3, 0.0], 0.3, TRIES),
        ):
            with self.subTest(shares=shares):
                results = [{"others": share, "seconds": 1} for share in shares]
                place = Place(self.environment, "test")
                with mock.patch.object(place, "_watch", side_effect=results) as watch:
                    best = place.quietly(None)
                self.assertEqual((best["others"], watch.call_count), (kept, runs))

    def test_a_busy_machine_does_not_make_it_take_for_ever(self):
        place = Place(self.environment, "test")
        busy = {"others": 1.5, "seconds": REPEATED_SECONDS + 1}
        with mock.patch.object(place, "_watch", return_value=busy) as watch:
            for calls in (2, 3, 4):
                place.quietly(None)
                self.assertEqual(watch.call_count, calls)

    def test_what_a_process_starts_in_another_session_is_its_own(self):
        text = "import subprocess, sys; subprocess.run(['sleep', '60'], "
        text += "start_new_session=True)"
        process = self.process(text)
        while len(family := descendants({process.pid})) < 2:
            os.sched_yield()
        self.assertIn(process.pid, family)
        for pid in family - {process.pid}:
            os.kill(pid, 9)

    def test_what_others_use_is_seen(self):
        def turn():
            subprocess.run([sys.executable, "-c", "pass"])
            return {"seconds": 1.0}

        self.assertGreaterEqual(
            Place(self.environment, "test")._watch(turn)["others"], 0
        )


class GroupTests(unittest.TestCase):
    def test_members_are_spread_evenly(self):
        for size, processes, shares in (
            (1, 1, [1]),
            (1, 4, [1, 0, 0, 0]),
            (10, 4, [3, 3, 2, 2]),
            (10_000, 4, [2500] * 4),
        ):
            with self.subTest(size=size, processes=processes):
                self.assertEqual(spread(size, processes), shares)

    def test_a_renewal_between_sends_is_not_their_cost(self):
        costs = [
            {"commands": 14, "bytes": 900, "send ms": 5},
            {"commands": 26, "bytes": 1500, "send ms": 1},
            {"commands": 14, "bytes": 901, "send ms": 3},
        ]
        self.assertEqual(combine(costs), {"commands": 14, "bytes": 900, "send ms": 3})

    def test_costs_may_grow_with_processes_only(self):
        table = GroupTable("groups", [], processes=4)
        flat = {"commands": 10, "bytes": 1000}
        for most, met in ((flat, True), ({"commands": 13, "bytes": 1000}, False)):
            with self.subTest(most=most):
                costs = {1: {"commands": 3, "bytes": 300}, 10: flat, 10_000: most}
                targets = table.judge(costs)
                self.assertIs(all(target["met"] for target in targets), met)


class IdleTests(unittest.TestCase):
    def test_a_server_counts_with_what_it_uses_more_than_alone(self):
        variant = Variant("ours", Layer("redis", server="redis"))
        idle = Idle("idle", [variant])
        servers = {"ours": 0.5, "redis alone": 0.2}
        share = idle.shares("ours", 10, {"ours": 0.05}, servers)
        self.assertAlmostEqual(share["value"], 0.005)
        self.assertAlmostEqual(share["more"], 0.03)
        lines = []
        record = idle.conclude({"ours": [share]}, [], lines.append)
        self.assertEqual([target["met"] for target in record["targets"]], [True, False])


class WorkTests(unittest.TestCase):
    def test_every_target_is_of_a_variant(self):
        for one in layers.comparisons(None):
            names = {variant.name for variant in one.variants}
            with self.subTest(work=one.title):
                self.assertEqual(len(names), len(one.variants))
                for target in one.targets:
                    self.assertLessEqual(
                        {target.name, target.other or target.name}, names
                    )

    def test_titles_are_different(self):
        titles = Counter(one.title for one in layers.comparisons(None))
        self.assertEqual(set(titles.values()), {1})

    def test_a_worker_tells_what_went_wrong(self):
        spec = {"layer": None, "form": "sync", "address": None, "options": {}}
        command = [sys.executable, LOADS / "worker.py", json.dumps(spec)]
        with tempfile.TemporaryDirectory() as folder:
            process = Process(command, dict(os.environ), Path(folder, "log"))
            try:
                self.assertEqual(process.answer(), "ready")
                with self.assertRaisesRegex(ToolError, "AttributeError"):
                    process.ask("sends", channel="a", seconds=0)
            finally:
                process.end()
