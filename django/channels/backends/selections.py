"""The channels of a receive: checked once, and remembered with their rotation."""

from . import options

# How many combinations of channels are remembered.
MAX_SELECTIONS = 1024


class Selection:
    """The channels of a receive, and where among them the next one begins."""

    __slots__ = ("names", "inboxes", "start")

    def __init__(self, names):
        self.names = names
        self.inboxes = sorted(name for name in names if name[-1] == "!")
        self.start = 0


class Selections:
    """The selections that a layer has seen."""

    def __init__(self):
        self._seen = {}

    def __len__(self):
        return len(self._seen)

    def get(self, channels, block, timeout):
        """
        Return the Selection of some channels.

        Raise TypeError if they, or the wait that is asked for, are not valid.
        """
        if timeout is not None:
            options.check_wait(block, timeout)
        given = channels
        if not isinstance(channels, (str, bytes)):
            try:
                given = tuple(channels)
                return self._seen[given]
            except (KeyError, TypeError):
                # Not seen before, or nothing that can be; check_channels() tells.
                pass
        names = options.check_channels(given)
        if len(self._seen) >= MAX_SELECTIONS:
            self._seen.clear()
        return self._seen.setdefault(names, Selection(names))
