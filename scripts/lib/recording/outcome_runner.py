"""
A runner of Django that writes the outcome of every test to a file.

It runs inside ``runtests.py`` (chosen by ``outcome_settings``), on our tree and
on pristine Django alike; ``lib/outcomes.py`` reads what it writes. In parallel
runs the events of all processes come back to this process, so that one file
has everything. They come as plain text where upstream's would end the whole
run, because a test keeps something that no pickle can hold, as a lock.
"""

import pickle
import traceback
from contextlib import nullcontext

import time_limit
from outcome_result import OutcomeResult

from django.test.runner import (
    DiscoverRunner,
    ParallelTestSuite,
    RemoteTestResult,
    RemoteTestRunner,
)


class PlainSubTest:
    """A subtest that failed, by its texts alone."""

    def __init__(self, subtest):
        self.failureException = subtest.failureException
        self.name = subtest.id()
        self.text = str(subtest)
        self.description = subtest.shortDescription()

    def __str__(self):
        return self.text

    def id(self):
        return self.name

    def shortDescription(self):
        return self.description


def portable(test, err):
    """Return exception information that another process can read."""
    try:
        pickle.loads(pickle.dumps(err[1]))
    except Exception:
        failed = issubclass(err[0], test.failureException)
        kind = AssertionError if failed else RuntimeError
        text = "".join(traceback.format_exception(*err))
        return kind, kind(text), None
    return err


class PortableResult(RemoteTestResult):
    """The events of one process, each of them picklable."""

    def startTest(self, test):
        super().startTest(test)
        time_limit.renew()

    def addError(self, test, err):
        super().addError(test, portable(test, err))

    def addFailure(self, test, err):
        super().addFailure(test, portable(test, err))

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, portable(test, err))

    def addSubTest(self, test, subtest, err):
        if err is not None:
            err = portable(test, err)
            event = ("addSubTest", self.test_index, PlainSubTest(subtest), err)
            self.events.append(event)


class PortableRunner(RemoteTestRunner):
    resultclass = PortableResult

    def run(self, test):
        with time_limit.limited():
            return super().run(test)


class PortableSuite(ParallelTestSuite):
    runner_class = PortableRunner


class OutcomeRunner(DiscoverRunner):
    """Run tests as upstream's runner does, then write their outcomes."""

    parallel_test_suite = PortableSuite

    def get_resultclass(self):
        return super().get_resultclass() or OutcomeResult

    def run_suite(self, suite, **kwargs):
        # In parallel runs, each process that runs tests limits them itself.
        is_serial = not isinstance(suite, self.parallel_test_suite)
        with time_limit.limited() if is_serial else nullcontext():
            result = super().run_suite(suite, **kwargs)
        result.write()
        return result
