"""
What a process has when it begins to serve, out of the garbage collector's way.

In: worker/workerprocess.py, interface/application.py and layers.py, when all is
imported. Out: the collector, which looks at what comes later only.
"""

import gc
import os

# The process that has done so.
_pid = None


def freeze_start():
    """
    Have the garbage collector never look at what is there now, once in a process.

    Every full collection would look at it once more, for tens of milliseconds in
    which nothing else runs, and find that the modules of a site are still used.
    Later calls do nothing: what is there then may be garbage one day, as in a run
    of tests, which starts many servers. A forked process begins anew.
    """
    global _pid
    if _pid != os.getpid():
        _pid = os.getpid()
        gc.collect()
        gc.freeze()
