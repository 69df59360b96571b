"""The whole stack under load: clients that keep books, servers, Redis, workers."""

from .clients import Crowd
from .project import StackTestCase

__all__ = ["Crowd", "StackTestCase"]
