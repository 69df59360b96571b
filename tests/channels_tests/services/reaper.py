"""
End servers when the process that started them is gone, however it went.

In: lines on standard input, "+PID" and "-PID" for a server that begins and has
ended, "/FOLDER" for what to delete. Started with the id of the process to watch.
"""

import glob
import os
import select
import shutil
import signal
import sys


def main(parent):
    poll = select.poll()
    poll.register(0, select.POLLIN)
    try:
        poll.register(os.pidfd_open(parent), select.POLLIN)
    except (AttributeError, OSError):
        pass  # The end of standard input tells it as well, if nobody inherited it.
    os.set_blocking(0, False)
    servers, folders = set(), set()
    rest, ended = b"", False
    while not ended:
        # Asked before the pipe is read: what the parent wrote is in there then.
        gone = os.getppid() != parent
        data, ended = read_all()
        *lines, rest = (rest + data).split(b"\n")
        for line in map(os.fsdecode, lines):
            note(line, servers, folders)
        ended = ended or gone
        if not ended:
            poll.poll()
    for pid in [*servers, *descendants(*servers)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def read_all():
    """Return what standard input has now, and whether that is its end."""
    parts = []
    while True:
        try:
            data = os.read(0, 65536)
        except BlockingIOError:
            return b"".join(parts), False
        if not data:
            return b"".join(parts), True
        parts.append(data)


def descendants(*pids):
    """Return the ids of the children of processes and of theirs (on Linux)."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, errors="replace") as file:
                # The name of the program stands in brackets and may be anything.
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:
            continue
        children.setdefault(int(parent), []).append(int(path.split("/")[2]))
    found = [child for pid in pids for child in children.get(pid, [])]
    for child in found:
        found += children.get(child, [])
    return found


def note(line, servers, folders):
    """Remember what one line says."""
    if line.startswith("/"):
        folders.add(line)
    elif line.startswith("+"):
        servers.add(int(line))
    else:
        servers.discard(-int(line))


if __name__ == "__main__":
    main(int(sys.argv[1]))
