"""
What a process has when it begins to serve, out of the garbage collector's way.

In: worker/workerprocess.py, interface/application.py and layers.py, when all is
imported. Out: the collector, which looks at what comes later only.
"""

import gc


def freeze_start():
    """
    Have the garbage collector never look at what is there now.

    Every full collection would look at it once more, for tens of milliseconds in
    which nothing else runs, and find that the modules of a site are still used.
    """
    gc.collect()
    gc.freeze()
