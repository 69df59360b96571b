import os
import subprocess
import sys
import time
import unittest
from types import SimpleNamespace
from unittest import mock

from lib import ROOT

sys.path.append(str(ROOT / "tests"))
sys.path.append(str(ROOT / "tests" / "benchmarks" / "loads"))

from benchmarks import sockets  # noqa: E402
from benchmarks.socket_stacks import (  # noqa: E402
    BARE,
    BARE_UVICORN,
    MEGABYTE,
    Turns,
    memory_of,
)
from session import percentiles  # noqa: E402


def make_side():
    return SimpleNamespace(command=lambda *words: list(words))


class StackTests(unittest.TestCase):
    def setUp(self):
        sides = SimpleNamespace(ours=make_side(), peer=make_side())
        self.stacks = {
            stack.name: stack
            for stack in sockets.stacks(sides, "/echo/", load="echo", connections=3)
        }

    def test_only_ours_has_a_worker_and_all_but_the_bare_one_a_redis(self):
        self.assertEqual(
            {name: (s.workers, s.needs_redis) for name, s in self.stacks.items()},
            {
                sockets.OURS: (1, True),
                sockets.SYNC: (0, True),
                sockets.ASYNC: (0, True),
                sockets.LIMIT: (0, False),
            },
        )

    def test_all_are_behind_the_same_server(self):
        for stack in self.stacks.values():
            self.assertEqual(stack.command[: len(sockets.UVICORN)], sockets.UVICORN)
        self.assertEqual(
            self.stacks[sockets.OURS].command[-1], "mysite.asgi:channel_layer"
        )
        self.assertEqual(
            self.stacks[sockets.ASYNC].command[-1], "mysite.sockets:application"
        )
        self.assertEqual(self.stacks[sockets.LIMIT].command, [*BARE_UVICORN, BARE])

    def test_loads_have_channels_of_their_own(self):
        slugs = {stack.slug for stack in self.stacks.values()}
        self.assertEqual(len(slugs), 4)
        self.assertIn("ours-1-worker-echo", slugs)


class PromiseTests(unittest.TestCase):
    def promises(self, comparison):
        sides = SimpleNamespace(ours=None, peer=None)
        return [
            (t.name, t.key, t.bound, t.limit, t.other)
            for t in comparison(sides).targets
            if t.limit is not None
        ]

    def test_many_echoes_are_four_times_the_historic_ones(self):
        self.assertEqual(
            self.promises(sockets.many_echoes),
            [(sockets.OURS, "value", "at least", 2940, None)],
        )

    def test_one_echo_takes_two_milliseconds(self):
        self.assertEqual(
            self.promises(sockets.one_echo),
            [(sockets.OURS, "p50", "at most", 2, None)],
        )

    def test_broadcasts_are_ten_times_both_peers(self):
        self.assertEqual(
            self.promises(sockets.broadcast)[:2],
            [
                (sockets.OURS, "value", "at least", 10, sockets.SYNC),
                (sockets.OURS, "value", "at least", 10, sockets.ASYNC),
            ],
        )


class MeasureTests(unittest.TestCase):
    def test_memory_is_that_of_living_processes(self):
        ours = memory_of({os.getpid()})
        self.assertGreater(ours, MEGABYTE)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
        both = memory_of({os.getpid(), child.pid})
        self.assertGreater(both, ours)
        child.communicate(b"\n")
        self.assertEqual(memory_of({child.pid}), 0)

    def test_growth_is_since_the_first_turn(self):
        result = {"operations": 50, "seconds": 2.0, "cpu_seconds": 0.5, "p50": 1.5}

        def load(seconds):
            begun = time.process_time()
            while time.process_time() < begun + 0.05:
                continue
            return result

        turns = Turns(SimpleNamespace(load=load), {os.getpid()})
        sizes = [10 * MEGABYTE, 12 * MEGABYTE]
        with mock.patch("benchmarks.socket_stacks.memory_of", side_effect=sizes):
            first, second = turns.measure(2), turns.measure(2)
        self.assertEqual((first["MB grown"], second["MB grown"]), (0, 2))
        self.assertEqual((first["value"], first["loader CPU"]), (25, 0.25))
        self.assertEqual(first["p50"], 1.5)
        self.assertGreaterEqual(first["µs CPU"], 1000)

    def test_percentiles_are_in_milliseconds(self):
        times = [number / 1000 for number in range(101)]
        found = percentiles(times)
        self.assertAlmostEqual(found["p50"], 50)
        self.assertAlmostEqual(found["p99"], 99)
        self.assertEqual(percentiles([0.1]), {})


if __name__ == "__main__":
    unittest.main()
