"""
A ledger: what writers meant to send and readers received, in real processes.

conductor.py starts programs and gives them roles; program.py is such a process;
roles.py says what writers, readers and members do and note down in journals;
books.py compares what all of them noted; faults.py has what a fault can cost.
"""

from .books import Books
from .conductor import Ledger
from .faults import FAULTS

__all__ = ["FAULTS", "Books", "Ledger"]
