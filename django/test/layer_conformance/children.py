"""
Second processes for tests: forked ones, and fresh interpreters.

A fresh one runs this module. It is told on standard input, as one line of JSON,
how to make the layer and which function of work.py to run, and writes what that
returns to standard output.
"""

import json
import os
import select
import subprocess
import sys
import warnings

WORK = "django.test.layer_conformance.work"
# What a child writes is read in pieces of this size, in bytes.
PIECE = 65536


class Child:
    """What a second process returns, for whoever has the other end of its pipe."""

    def __init__(self, pid, reading):
        self._pid = pid
        self._reading = reading
        self._ended = False

    def result(self, seconds):
        """
        Return what its work returned; kill it if it takes longer.

        Raise AssertionError if it raised or hung.
        """
        answer = b""
        while select.select([self._reading], [], [], seconds)[0]:
            piece = os.read(self._reading, PIECE)
            if not piece:
                break
            answer += piece
        else:
            self.end()
            raise AssertionError(f"A child said nothing for {seconds} s.")
        self.end()
        outcome = json.loads(answer or '{"error": "it died"}')
        if "error" in outcome:
            raise AssertionError(f"In a child: {outcome['error']}")
        return outcome["result"]

    def end(self):
        """Kill it, if it is still there."""
        if self._ended:
            return
        self._ended = True
        try:
            os.kill(self._pid, 9)
        except ProcessLookupError:
            pass
        os.waitpid(self._pid, 0)
        os.close(self._reading)


def fork_quietly():
    """Return what os.fork() does, without its warning since Python 3.12."""
    with warnings.catch_warnings():
        # It warns where other threads run, which is the point.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def fork(function):
    """Start a forked child that runs ``function``."""
    reading, writing = os.pipe()
    pid = fork_quietly()
    if not pid:
        # Nothing of the test runner may go on in the child.
        try:
            os.close(reading)
            _answer(writing, function)
        finally:
            os._exit(0)
    os.close(writing)
    return Child(pid, reading)


def start_fresh(recipe, work, args):
    """
    Start a fresh interpreter that runs a function of work.py.

    ``recipe`` is the dotted path of what makes the layer, and its options.
    """
    reading, writing = os.pipe()
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-m", "django.test.layer_conformance.children"],
        stdin=subprocess.PIPE,
        stdout=writing,
        env={**os.environ, "PYTHONPATH": path},
    )
    os.close(writing)
    maker, options = recipe
    task = {"make": maker, "options": options, "work": work, "args": args}
    with process.stdin as stdin:
        stdin.write(json.dumps(task).encode())
    # It is waited for by its id, as a forked child is.
    process.returncode = 0
    return Child(process.pid, reading)


def _answer(writing, function):
    try:
        answer = {"result": function()}
    except BaseException as error:
        answer = {"error": repr(error)}
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(json.dumps(answer).encode())


def _main():
    import django
    from django.conf import settings
    from django.utils.module_loading import import_string

    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure()
    django.setup()
    # What anybody prints is none of the answer.
    writing = os.dup(1)
    os.dup2(2, 1)
    task = json.load(sys.stdin)
    layer = import_string(task["make"])(**task["options"])
    work = import_string(f"{WORK}.{task['work']}")
    _answer(writing, lambda: work(layer, *task["args"]))
    layer.close()


if __name__ == "__main__":
    _main()
