"""
Run the steps of a check one after the other and sum them up.

A step prints a heading, runs its action and says how it went and how long it
took. Long output belongs into the step's log; its end is shown on failure.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

from .errors import ToolError

TAIL_LINES = 40  # So much of a log is shown when its step fails.
LIVE_SECONDS = 0.1  # So often the output of a live command is looked at.
PASSED, FAILED, REPORTED, NOT_RUN = "ok", "FAILED", "reported", "not run"

Result = namedtuple("Result", "name status seconds remark")


class StepFailed(ToolError):
    """Raised by an action with the sentence that says what failed."""


def duration(seconds):
    """Return a duration as people write it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s"


def count_of(number, noun):
    """Return a number with its noun, in the plural where that is right."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Step:
    """What an action is given: its log and ways to run commands and to talk."""

    def __init__(self, name, log, out):
        self.name = name
        self.log = log
        self.out = out

    def say(self, text):
        for line in str(text).splitlines():
            print(f"   {line}".rstrip(), file=self.out, flush=True)

    def run(self, command, *, env, cwd, timeout, live=False):
        """
        Run a command with its output in the log; return its exit code.

        With ``live`` the output is shown as well. In the end, and when the time
        is up or on Ctrl-C, everything that it left running is ended.
        """
        with open(self.log, "ab") as log:
            log.write(f"$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            begin = log.tell()
            process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
                cwd=cwd,
            )
        try:
            return self.wait(process, timeout, begin if live else None)
        except subprocess.TimeoutExpired as error:
            text = f"It took more than {duration(timeout)} and was ended."
            raise StepFailed(text) from error
        finally:
            end_session(process)

    def wait(self, process, timeout, shown):
        """
        Wait for a process; return its exit code or raise TimeoutExpired.

        What the log gets from the position ``shown`` on is shown meanwhile. It
        is read from the file, because a pipe would stay open as long as
        anything that the command started.
        """
        if shown is None:
            return process.wait(timeout)
        deadline = time.monotonic() + timeout
        with open(self.log, "rb") as log:
            log.seek(shown)
            text = io.TextIOWrapper(log, errors="replace")
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(process.args, timeout)
                self.show(text)
                time.sleep(LIVE_SECONDS)
            self.show(text)
        return process.returncode

    def show(self, text):
        self.out.write(text.read())
        self.out.flush()

    def check(self, command, **options):
        """Run a command and fail if its exit code is not zero."""
        code = self.run(command, **options)
        if code:
            name = Path(command[1] if len(command) > 1 else command[0]).name
            raise StepFailed(f"{name} ended with exit code {code}.")

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-TAIL_LINES:]


def end_session(process):
    """
    Kill what still runs of a process that leads a session, and wait for it.

    Servers that it started lead sessions of their own, so its children are
    killed one by one as well.
    """
    children = descendants(process.pid) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)
    process.wait()


def descendants(pid):
    """Return the ids of the children of a process and of theirs (on Linux)."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name of the program stands in brackets and may have anything.
            parent = path.read_text(errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


class Report:
    """The steps that ran, in order, and what became of them."""

    def __init__(self, logs, out=None):
        self.logs = Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.out = out or sys.stdout
        self.results = []

    def print(self, text=""):
        print(text, file=self.out, flush=True)

    def run(self, name, action, *, needs=(), may_fail=False, show_log=True):
        """
        Run ``action(step)`` as a step; return whether it passed.

        It is not run when a step that it needs has not passed. What it returns
        is its remark in the summary.
        """
        lacking = [need for need in needs if self.status(need) != PASSED]
        if lacking:
            remark = f"needs {' and '.join(lacking)}"
            self.results.append(Result(name, NOT_RUN, 0.0, remark))
            return False
        self.print(f"\n== {name}")
        log = self.logs / f"{name.replace(' ', '-').lower()}.log"
        log.write_bytes(b"")
        step = Step(name, log, self.out)
        begun = time.monotonic()
        try:
            status, remark = PASSED, action(step) or ""
        except ToolError as error:
            status, remark = REPORTED if may_fail else FAILED, str(error)
            self.show_failure(step, show_log and not may_fail)
        seconds = time.monotonic() - begun
        self.results.append(Result(name, status, seconds, remark))
        step.say(f"{remark} [{status}, {duration(seconds)}]".strip())
        return status == PASSED

    def show_failure(self, step, show_log):
        if show_log and (lines := step.tail()):
            step.say("\n".join(lines))
        if step.log.stat().st_size:
            step.say(f"The whole log is {step.log}.")

    def status(self, name):
        found = [result.status for result in self.results if result.name == name]
        return found[-1] if found else NOT_RUN

    @property
    def failed(self):
        return any(result.status in (FAILED, NOT_RUN) for result in self.results)

    def summarize(self):
        """Print one line per step and the whole time."""
        width = max((len(result.name) for result in self.results), default=0)
        self.print("\n== Summary")
        for name, status, seconds, remark in self.results:
            spent = duration(seconds) if seconds else "-"
            line = f"   {name:{width}}  {status:8}  {spent:>12}  {remark}"
            self.print(line.rstrip())
        total = sum(result.seconds for result in self.results)
        self.print(f"   {'together':{width}}  {'':8}  {duration(total):>12}")
