"""
Workers: processes and threads that run consumers.

worker.py takes messages, which prefetch.py fetches; consuming.py finds the consumer,
and runs.py runs it; sender.py has what it sent leave. supervisor.py looks after
processes of workers for the command, runworker.py.
"""

from .worker import Worker, WorkerGroup

__all__ = ["Worker", "WorkerGroup"]
