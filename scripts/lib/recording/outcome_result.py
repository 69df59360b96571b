"""A test result that keeps the outcome of every test and writes them to a file."""

import json
import os
import unittest

import time_limit

OUTCOMES_FILE_VARIABLE = "OUTCOMES_FILE"


def test_id(test):
    """Return the id of a test; a subtest counts as the test it is part of."""
    return getattr(test, "test_case", test).id()


class OutcomeResult(unittest.TextTestResult):
    """A text result that also keeps one list of outcomes per test id."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcomes = {}
        self.faults = {}

    def startTest(self, test):
        super().startTest(test)
        time_limit.renew()

    def record(self, test, outcome):
        self.outcomes.setdefault(test_id(test), []).append(outcome)

    def record_fault(self, test, outcome, err):
        self.record(test, outcome)
        self.faults.setdefault(test_id(test), f"{err[0].__name__}: {err[1]}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.record(test, "passed")

    def addError(self, test, err):
        super().addError(test, err)
        self.record_fault(test, "error", err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.record_fault(test, "failed", err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self.record_fault(test, "failed" if failed else "error", err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.record(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.record(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.record(test, "unexpected success")

    def write(self):
        """Write everything to the file that the environment names, at once."""
        path = os.environ[OUTCOMES_FILE_VARIABLE]
        unfinished = f"{path}.unfinished"
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump({"outcomes": self.outcomes, "faults": self.faults}, file)
        os.replace(unfinished, path)
