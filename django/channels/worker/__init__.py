"""
Workers: processes and threads that run consumers.

worker.py takes messages, which prefetch.py fetches; consuming.py finds the consumer,
and runs.py runs it; sender.py has what it sent leave. group.py has several workers in
one process, and supervisor.py looks after such processes for the command, runworker.py.
"""

from .group import WorkerGroup
from .worker import Worker

__all__ = ["Worker", "WorkerGroup"]
