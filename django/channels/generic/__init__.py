"""Class-based consumers: one instance for each message."""

from django.channels.generic.base import BaseConsumer

__all__ = ["BaseConsumer"]
