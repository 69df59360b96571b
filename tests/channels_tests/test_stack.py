"""What sockets see of servers, workers and Redis that are ended, in any way."""

import os
import signal
import time
from collections import Counter

from django.test import tag

from .services.waiting import wait_for
from .stack import Crowd, StackTestCase

# Seconds before and after a kill in which an answer may be lost by it: before it,
# as many as the slowest of the others took, if that was longer.
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 0.5
# What a process may open once and keep: threads, connections, keys of each of them.
SLACK = 25


class StackTests(StackTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.serve()
        self.workers = [self.work(), self.work()]

    def assertBooksAgree(self, crowd, faults=()):
        """
        Nothing is heard twice or unsaid, or lost but by one of the faults.

        Each of them is a pair: between these times it happened.
        """
        self.assertEqual(crowd.duplicates(), [])
        self.assertEqual(crowd.phantoms(), [])
        before = max(BEFORE_SECONDS, crowd.slowest)
        unexplained = {
            text: when
            for text, when in crowd.lost().items()
            if not any(
                begun - before < when < ended + AFTER_SECONDS for begun, ended in faults
            )
        }
        self.assertEqual(unexplained, {})

    def assertEveryEndIsTold(self, crowd):
        """Each socket was connected and disconnected once; nothing is left."""
        opened = Counter(crowd.opened())
        wait_for(
            lambda: sum(self.events()["disconnect"].values()) >= len(opened),
            "each socket is disconnected",
        )
        events = self.events()
        self.assertEqual(events["connect"], opened)
        self.assertEqual(events["disconnect"], opened)
        wait_for(lambda: not self.layer.groups(), "no group has a member")
        # The last reports of workers have no reader but the servers.
        wait_for(lambda: not self.layer.statistics()["messages_pending"], "all is read")

    def kill_a_worker(self):
        """Kill a worker where it is, and start another; return the fault."""
        fault = self.kill(self.workers.pop(0))
        self.workers.append(self.work())
        return fault

    def kill(self, process):
        """Kill a process; return between which times that was."""
        begun = time.monotonic()
        process.send_signal(signal.SIGKILL)
        return begun, time.monotonic()

    def lose_redis(self):
        """Have Redis come back empty, and a server notice; return when it ended."""
        begun = time.monotonic()
        self.redis.kill()
        ended = time.monotonic()
        self.redis.restart("empty")
        self.server.process.wait_for_line("messages may be lost")
        return begun, ended

    def test_nothing_is_lost_without_a_fault(self):
        with Crowd(self.server) as crowd:
            crowd.join(30)
            crowd.progress(3000)
            crowd.broadcast("hello")
        self.assertBooksAgree(crowd)
        self.assertEqual(crowd.ends(), [])
        self.assertEveryEndIsTold(crowd)

    def test_sockets_outlive_workers_that_are_killed(self):
        kills = []
        with Crowd(self.server, faulty=True) as crowd:
            crowd.join(30)
            for _ in range(6):
                crowd.progress(100)
                kills.append(self.kill_a_worker())
            crowd.progress(1000)
            crowd.broadcast("hello")
        self.assertBooksAgree(crowd, kills)
        self.assertEqual(crowd.ends(), [])
        self.assertEqual(Counter(crowd.opened()), self.events()["connect"])

    def test_workers_that_are_restarted_lose_nothing(self):
        with Crowd(self.server) as crowd:
            crowd.join(30)
            for _ in range(4):
                crowd.progress(300)
                leaving = self.workers.pop(0)
                leaving.send_signal(signal.SIGTERM)
                self.workers.append(self.work())
                self.assertEqual(leaving.wait(), 0)
                self.assertEqual(self.server.get("/paths"), (200, b" /paths"))
            crowd.progress(300)
        self.assertBooksAgree(crowd)
        self.assertEqual(crowd.ends(), [])
        self.assertEveryEndIsTold(crowd)
        for worker in self.workers:
            self.assertQuiet(worker)

    def test_clients_of_a_killed_server_come_back_at_another(self):
        other = self.serve()
        with Crowd(self.server, other, faulty=True) as crowd:
            crowd.join(20)
            crowd.progress(200)
            killed = self.kill(self.server.process)
            crowd.progress(500)
            crowd.broadcast("hello")
        self.assertBooksAgree(crowd, [killed])
        self.assertGreaterEqual(len(crowd.opened()), 30)
        # Those of the killed server have nobody who tells.
        last = {talker.opened[-1] for talker in crowd.talkers}
        wait_for(
            lambda: last <= set(self.events()["disconnect"]),
            "each socket of the other server is disconnected",
        )
        self.assertEqual(max(self.events()["disconnect"].values()), 1)

    def test_sockets_stay_open_while_redis_comes_back_empty(self):
        with Crowd(self.server, faulty=True) as crowd:
            crowd.join(20)
            crowd.progress(500)
            crowd.be_quiet()
            loss = self.lose_redis()
            crowd.talk()
            crowd.progress(500)
            crowd.broadcast("hello")
        self.assertBooksAgree(crowd, [loss])
        self.assertEqual(crowd.ends(), [])
        self.assertEveryEndIsTold(crowd)

    def test_who_talks_while_redis_is_away_comes_back(self):
        with Crowd(self.server, faulty=True) as crowd:
            crowd.join(20)
            crowd.progress(200)
            begun, _ = self.lose_redis()
            healed = time.monotonic()
            crowd.progress(500)
            crowd.broadcast("hello")
        self.assertBooksAgree(crowd, [(begun, healed)])
        refusals = (1013, 503)
        for end in crowd.ends():
            self.assertTrue(any(str(code) in str(end) for code in refusals), end)

    def churn(self, sockets):
        """Have as many sockets come and go, some at a time."""
        at_a_time = 50
        names = []
        for _ in range(sockets // at_a_time):
            with Crowd(self.server) as crowd:
                crowd.join(at_a_time)
                crowd.progress(at_a_time)
            self.assertBooksAgree(crowd)
            names += crowd.opened()
        return names

    def test_sockets_that_come_and_go_leave_nothing(self):
        self.assertNothingIsLeft(300)

    @tag("full")
    def test_many_sockets_that_come_and_go_leave_nothing(self):
        self.assertNothingIsLeft(5000)

    def assertNothingIsLeft(self, sockets):
        self.churn(100)
        before = self.footprint()
        names = self.churn(sockets)
        self.assertEqual(len(names), sockets)
        total = 100 + sockets
        for event in "connect", "disconnect":
            wait_for(
                lambda: sum(self.events()[event].values()) == total,
                f"{total} sockets have a {event}",
            )
        wait_for(lambda: not self.layer.groups(), "no group has a member")
        wait_for(lambda: not self.layer.statistics()["messages_pending"], "all is read")
        wait_for(lambda: self.excess(before) == {}, "nothing more is held than before")

    def footprint(self):
        """Return {what: how much} a server and a worker hold."""
        held = {}
        for process in self.server.process, self.workers[0]:
            directory = f"/proc/{process.pid}"
            held[f"threads of {process.pid}"] = len(os.listdir(f"{directory}/task"))
            held[f"files of {process.pid}"] = len(os.listdir(f"{directory}/fd"))
        held["keys"] = self.redis.client().dbsize()
        return held

    def excess(self, before):
        """Return {what: (how much before, and now)} of what is held beyond that."""
        return {
            what: (before[what], now)
            for what, now in self.footprint().items()
            if now > before[what] + SLACK
        }

    @tag("full")
    def test_two_thousand_idle_sockets(self):
        with Crowd(self.server) as crowd:
            crowd.join(20)
            crowd.be_quiet()
            for _ in range(20):
                crowd.join(100)
            crowd.broadcast("hello")
            crowd.broadcast("again")
        self.assertBooksAgree(crowd)
        self.assertEqual(crowd.ends(), [])
        self.assertEveryEndIsTold(crowd)
