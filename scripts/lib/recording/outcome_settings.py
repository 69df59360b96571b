"""
The settings of upstream's test suite, with a runner that records outcomes.

Give this folder on PYTHONPATH and ``--settings=outcome_settings`` to
``runtests.py``, whose own folder has ``test_sqlite``.
"""

from test_sqlite import *  # NOQA

TEST_RUNNER = "outcome_runner.OutcomeRunner"
