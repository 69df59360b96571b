"""
A shard: keys that live on one server together, and the connections to it.

In: calls of the store's parts, each one script. Out: the server's replies.

A generation is a random part of all keys. It belongs to one run of a server: what
a server has from an earlier run, or from another server, has other names.
"""

import logging
import re
import secrets
import threading
from collections import deque
from contextlib import contextmanager

from django.channels.exceptions import LayerUnavailable

from .flights import ScriptFlight
from .replies import ErrorReply
from .scripts import get_script
from .wire import Wire, WireError, pack

logger = logging.getLogger("django.channels")

# How many connections that nobody uses are kept.
MAX_IDLE_WIRES = 16
# What a server answers that has carried out nothing, and that others may.
ELSEWHERE = (
    "ASK ",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MOVED ",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
)
# How Redis before 7.0 says READONLY of what a script does: no write is done.
READ_ONLY_SCRIPT = re.compile(r"ERR Error running script .*-READONLY", re.DOTALL)


def _is_elsewhere(text):
    """Return whether a refusal says that another server is the one to ask."""
    return text.startswith(ELSEWHERE) or bool(READ_ONLY_SCRIPT.match(text))


class Shard:
    """One server, or the part of a cluster with one tag."""

    def __init__(self, server, prefix, tag, number=0):
        self.server = server
        self.number = number
        # Is it a part of a cluster?
        self.is_tagged = bool(tag)
        self.epoch_key = f"{prefix}{tag}epoch"
        self.beginning = f"{prefix}{tag}"
        self._lock = threading.Lock()
        self._wires = deque()
        # The run id and the generation, and what keys begin with.
        self._run_id = ""
        self.generation = ""
        self.keys = ""
        self._is_changed = False

    # Scripts.

    def run(self, name, *args):
        """Carry out a script that may be carried out twice; return its reply."""
        return self._carry_out(get_script(name), lambda wire, again: args)

    def run_once(self, name, *args):
        """Carry out a script with the sender's name and number; return its reply."""
        number = None

        def words(wire, again):
            nonlocal number
            if number is None:
                number = next(wire.numbers)
            return (wire.sender, number, *args)

        return self._carry_out(get_script(name), words)

    def run_take(self, reader, *args):
        """Carry out the script that takes; return its reply."""
        number = None

        def words(wire, again):
            nonlocal number
            if number is None:
                number = next(wire.numbers)
            return (reader, wire.sender, number, int(again), *args)

        return self._carry_out(get_script("take"), words)

    def begin_once(self, name, args, finish):
        """
        Begin run_once() without waiting; return a ScriptFlight, or None.

        ``finish`` makes a reply the result of the flight.
        """
        try:
            wire = self._wires.pop()
        except IndexError:
            return None
        if not (wire.is_open and wire.is_plain):
            self.give_back(wire)
            return None
        words = (wire.sender, next(wire.numbers), *args)
        return ScriptFlight(self, wire, get_script(name), words, finish)

    def carry_on(self, wire, script, words, read):
        """Return the reply to a script that was begun, and that ``read`` returns."""
        return self._carry_out(script, lambda wire, again: words, wire, read)

    def pack(self, script, words):
        """Return the bytes of the command for a script."""
        return pack(("EVALSHA", script.sha, 1, self.keys, *words))

    def _carry_out(self, script, words, wire=None, read=None):
        if wire is None:
            wire = self.lend()
        try:
            if not wire.is_open:
                # What was sent, if anything, is known by its number.
                self.open(wire)
                read = None
            try:
                reply = self._call(wire, script, words(wire, False), read)
            except WireError:
                self._forget_idle()
                self.open(wire)
                reply = self._call(wire, script, words(wire, True))
        except WireError as error:
            wire.close()
            raise self.unavailable(error) from error
        except BaseException:
            # A reply may be on its way that the next caller is not to get.
            wire.close()
            raise
        finally:
            self.give_back(wire)
        if isinstance(reply, ErrorReply):
            raise self._refused(reply)
        return reply

    def _call(self, wire, script, words, read=None):
        if read is None:
            wire.send_packed(self.pack(script, words))
            reply = wire.read()
        else:
            reply = read(wire)
        if isinstance(reply, ErrorReply):
            text = str(reply)
            if text.startswith("NOSCRIPT"):
                reply = wire.call("EVAL", script.text, 1, self.keys, *words)
                text = str(reply)
            if isinstance(reply, ErrorReply) and _is_elsewhere(text):
                self.server.lose()
                wire.close()
                raise WireError(text)
        return reply

    # Connections.

    def lend(self):
        """Return a wire, the one that was used last; give_back() is to follow."""
        try:
            return self._wires.pop()
        except IndexError:
            return Wire(self.server.connect)

    def give_back(self, wire):
        """Take a wire back."""
        if len(self._wires) < MAX_IDLE_WIRES:
            self._wires.append(wire)
        else:
            wire.close()

    def open(self, wire):
        """Connect a wire, and see which generation the server has now."""
        try:
            wire.open()
            self._see_generation(wire)
        except WireError:
            wire.close()
            if not self.server.lose():
                raise
            wire.open()
            self._see_generation(wire)

    def close(self):
        """Close what nobody uses."""
        self._forget_idle()

    def leave(self):
        """Let go of all connections, in a forked child."""
        self._wires = deque()

    def _forget_idle(self):
        """Close the connections that nobody uses."""
        while True:
            try:
                self._wires.pop().close()
            except IndexError:
                return

    # Generations.

    def check_generation(self):
        """See which generation the server has now, because it seems to be another."""
        wire = self.lend()
        try:
            if wire.is_open:
                try:
                    self._see_generation(wire)
                except WireError:
                    self.open(wire)
            else:
                self.open(wire)
        except WireError as error:
            raise self.unavailable(error) from error
        finally:
            self.give_back(wire)

    def take_change(self):
        """Return whether there is another generation since the last call of this."""
        with self._lock:
            is_changed, self._is_changed = self._is_changed, False
        return is_changed

    def _see_generation(self, wire):
        script = get_script("epoch")
        words = (1, self.epoch_key, secrets.token_hex(4), self._run_id, self.generation)
        reply = wire.call("EVALSHA", script.sha, *words)
        if isinstance(reply, ErrorReply) and str(reply).startswith("NOSCRIPT"):
            reply = wire.call("EVAL", script.text, *words)
        if isinstance(reply, ErrorReply):
            wire.close()
            raise WireError(str(reply))
        run_id, generation = (part.decode() for part in reply)
        with self._lock:
            if generation != self.generation:
                self._is_changed |= bool(self.generation)
                self.generation = generation
                self.keys = f"{self.beginning}{generation}:"
            self._run_id = run_id

    # Errors.

    @contextmanager
    def errors(self):
        """Turn a WireError into a LayerUnavailable."""
        try:
            yield
        except WireError as error:
            raise self.unavailable(error) from error

    def unavailable(self, error):
        """Return the error for a server that cannot be reached, or what it is."""
        if isinstance(error, LayerUnavailable):
            return error
        return LayerUnavailable(f"Redis at {self.server.name}: {error}")

    def _refused(self, reply):
        text = str(reply)
        if "OOM" in text:
            return LayerUnavailable(
                f"Redis at {self.server.name} is full: its memory is used up."
            )
        return LayerUnavailable(f"Redis at {self.server.name} refused: {text}")
