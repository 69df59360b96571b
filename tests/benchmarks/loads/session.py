"""What every load shares: its options, and how it talks to the harness."""

import argparse
import asyncio
import json
import resource
import statistics
import sys
import time


def run(load_class, description, **defaults):
    """
    Run a load as a command.

    Every default becomes an option of the same name and type.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    options = parser.parse_args()
    allow_many_files()
    asyncio.run(talk(load_class(options)))


async def talk(load):
    """Connect and tell; for every line of seconds, work and tell the result."""
    await load.connect()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        before = time.process_time()
        operations, seconds, faults = await load.work(float(line))
        result = {
            "operations": operations,
            "seconds": seconds,
            "faults": faults,
            "cpu_seconds": time.process_time() - before,
            **load.details(),
        }
        print(json.dumps(result), flush=True)


class Details:
    """A base for loads that count nothing else."""

    def details(self):
        """Return what else is to be told of the work just done."""
        return {}


def percentiles(times):
    """Return two percentiles of some seconds, in milliseconds, if there are any."""
    if len(times) < 2:
        return {}
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3}


def allow_many_files():
    """Raise the limit of open files to what the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
