"""
The same view under gunicorn, on the branch and on pristine Django.

WSGI is the path that the branch leaves alone: the median ratio of the request
rates must lie between 0.97 and 1.03. The CPU of a request, which a busy machine
disturbs less, says the same.
"""

from lib.errors import ToolError

from .comparison import Comparison, Variant
from .sides import PROJECT

ROUNDS = 20
SECONDS = 2.0
LOWEST, HIGHEST = 0.97, 1.03

GUNICORN = ["gunicorn", "--workers", "1", "--worker-class", "sync"]
GUNICORN += ["--no-control-socket"]
GUNICORN += ["--bind", "127.0.0.1:{port}", f"{PROJECT}.wsgi:application"]


def comparisons(sides):
    """Return the one comparison."""
    variants = [
        Variant(name, side.command(*GUNICORN), side.environ(), side.folder, {})
        for name, side in (("branch", sides.ours), ("pristine", sides.peer))
    ]
    return [
        Comparison(
            title="WSGI, gunicorn with one sync worker, default middleware",
            unit="requests",
            load_name="gets",
            options={},
            variants=variants,
        )
    ]


def judge(record):
    """Raise ToolError if WSGI became slower or faster than it may."""
    ratios = record["ratios"]["pristine"]
    rate, cpu = ratios["rate"]["median"], ratios["cpu"]["median"]
    if not LOWEST <= rate <= HIGHEST:
        raise ToolError(
            f"The branch serves {rate:.3f} times the requests of pristine Django, "
            f"with {cpu:.3f} times the CPU; {LOWEST} to {HIGHEST} is allowed. Measure "
            "again if other processes kept the machine busy."
        )
