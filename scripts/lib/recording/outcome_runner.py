"""
A runner of Django that writes the outcome of every test to a file.

It runs inside ``runtests.py`` (chosen by ``outcome_settings``), on our tree and
on pristine Django alike; ``lib/outcomes.py`` reads what it writes. In parallel
runs the events of all processes come back to this process, so that one file
has everything.
"""

from outcome_result import OutcomeResult

from django.test.runner import DiscoverRunner


class OutcomeRunner(DiscoverRunner):
    """Run tests as upstream's runner does, then write their outcomes."""

    def get_resultclass(self):
        return super().get_resultclass() or OutcomeResult

    def run_suite(self, suite, **kwargs):
        result = super().run_suite(suite, **kwargs)
        result.write()
        return result
