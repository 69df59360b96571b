"""Consumers that fork: what their processes share with the worker, and what not."""

import os
import unittest

from .workers import ROUTING, WorkersTestCase

FORKING = """

import multiprocessing
import subprocess

fork = multiprocessing.get_context("fork")


def report():
    Channel("results").send({"by": "child"})


def sleep(begun):
    begun.set()
    threading.Event().wait()


def sending(message):
    child = fork.Process(target=report)
    child.start()
    child.join()
    Channel("results").send({"by": "parent", "code": child.exitcode})


def ending(message):
    begun = fork.Event()
    child = fork.Process(target=sleep, args=[begun], daemon=True)
    child.start()
    begun.wait()
    child.terminate()
    child.join(60)
    tell(code=child.exitcode)
    child.kill()


def pooling(message):
    with fork.Pool(2) as pool:
        tell(results=pool.map(abs, [-1, -2, 3]))
    Channel("results").send({"ended": True})


channel_routing += [
    route("sending", sending), route("ending", ending), route("pooling", pooling)
]
"""


@unittest.skipUnless(hasattr(os, "fork"), "This system has no fork().")
class ForkTests(WorkersTestCase):
    def setUp(self):
        super().setUp()
        self.routing.write_text(ROUTING + FORKING)

    def test_what_a_child_sends_leaves_although_its_consumer_goes_on(self):
        process = self.start()
        self.send("sending", {})
        results = self.results(2)
        self.assertEqual(results, [{"by": "child"}, {"by": "parent", "code": 0}])
        self.assertEnds(process)
        self.assertNothingMore()

    def test_a_child_ends_when_it_is_told_to_and_the_worker_does_not(self):
        process = self.start()
        self.send("ending", {})
        self.assertEqual(self.result()["code"], -15)
        self.send_numbers("work", 1)
        self.assertEqual(self.numbers(1), [0])
        self.assertEnds(process)

    def test_a_pool_ends_with_its_block(self):
        process = self.start()
        for _ in range(3):
            self.send("pooling", {})
            self.assertEqual(self.result()["results"], [1, 2, 3])
            self.assertEqual(self.result(), {"ended": True})
        self.assertEnds(process)
