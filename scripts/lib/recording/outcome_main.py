"""
Run the tests of the scripts and write the outcome of every test to a file.

The argument is the folder of the scripts; their tests are in ``tests`` there.
"""

import sys
import unittest

import time_limit
from outcome_result import OutcomeResult

if __name__ == "__main__":
    scripts = sys.argv[1]
    sys.path[0] = scripts
    suite = unittest.defaultTestLoader.discover(
        f"{scripts}/tests", top_level_dir=scripts
    )
    runner = unittest.TextTestRunner(resultclass=OutcomeResult, stream=sys.stdout)
    with time_limit.limited():
        result = runner.run(suite)
    result.write()
    sys.exit(not result.wasSuccessful())
