"""
What a channel layer holds, as data and as a table for a terminal.

In: the channels command. Out: calls of the layer that change nothing.
"""

import fnmatch
import math
import re

# The columns beside the name: title, width with the space before it, key.
COLUMNS = (
    ("Depth", 8, "messages_pending"),
    ("Age", 7, "messages_max_age"),
    ("Sent/s", 8, "messages_count_per_second"),
    ("Full/s", 8, "channel_full_count_per_second"),
    ("Readers", 8, "readers"),
    ("Dropped", 9, "dropped_count"),
    ("Expired", 9, "expired_count"),
)
GROUP_COLUMNS = (("Inboxes", 9, "inboxes"), ("Channels", 9, "channels"))
# Columns of text of which one line can be sure.
MIN_WIDTH = 80

# Seconds are shown in the first unit of which there is one, or else the last.
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def take_snapshot(layer, patterns=()):
    """
    Return what a layer holds, as data that JSON can hold.

    ``patterns`` are globs for the names of channels and groups. Raise
    LayerUnavailable if the layer's store does not answer.
    """
    is_wanted = _compile(patterns)
    backend = type(layer.channel_layer)
    channels = {n: c for n, c in layer.queues().items() if is_wanted(n)}
    groups = layer.groups() if "groups" in layer.extensions else {}
    return {
        "layer": layer.alias,
        "backend": f"{backend.__module__}.{backend.__qualname__}",
        "spans_processes": layer.spans_processes,
        "total": _sum(channels) if patterns else layer.statistics(),
        "channels": channels,
        "groups": {n: group for n, group in groups.items() if is_wanted(n)},
    }


def format_snapshot(snapshot, width=MIN_WIDTH, height=None):
    """Return the lines of a table, no wider and higher than a terminal is."""
    width = max(width, MIN_WIDTH)
    channels = sorted(snapshot["channels"].items(), key=_by_depth)
    groups = sorted(snapshot["groups"].items(), key=_by_size)
    head = [_row("Channel", dict(_titles(COLUMNS)), COLUMNS, width)]
    rows = [_row(name, _show(c), COLUMNS, width) for name, c in channels]
    total = _row("Total", _show(snapshot["total"]), COLUMNS, width)
    tables = [(head, rows or ["(no channels)"], [total])]
    if groups:
        head = ["", _row("Group", dict(_titles(GROUP_COLUMNS)), GROUP_COLUMNS, width)]
        rows = [_row(name, group, GROUP_COLUMNS, width) for name, group in groups]
        tables.append((head, rows, []))
    return _fit(tables, height)


def _compile(patterns):
    regexes = [re.compile(fnmatch.translate(pattern)) for pattern in patterns]
    return lambda name: not regexes or any(regex.match(name) for regex in regexes)


def _sum(channels):
    total = dict.fromkeys((key for _, _, key in COLUMNS if key != "readers"), 0)
    for statistics in channels.values():
        for key in statistics.keys() - {"readers"}:
            if key == "messages_max_age":
                total[key] = max(total[key], statistics[key])
            else:
                total[key] = total.get(key, 0) + statistics[key]
    return total


def _by_depth(item):
    name, statistics = item
    return (
        -statistics["messages_pending"],
        -statistics["messages_count_per_second"],
        # What nobody reads, and nobody sends to, may be of processes that ended.
        statistics["readers"] == 0,
        name,
    )


def _by_size(item):
    name, group = item
    return -group["inboxes"] - group["channels"], name


def _titles(columns):
    return ((key, title) for title, _, key in columns)


def _show(statistics):
    """Return statistics as they are to be read."""
    return {
        **statistics,
        "messages_max_age": _show_seconds(statistics["messages_max_age"]),
        "messages_count_per_second": _show_rate(
            statistics["messages_count_per_second"]
        ),
        "channel_full_count_per_second": _show_rate(
            statistics["channel_full_count_per_second"]
        ),
    }


def _show_seconds(seconds):
    for unit, size in _UNITS:
        if seconds >= size:
            break
    number = seconds / size
    return f"{number:.1f}{unit}" if number < 10 else f"{math.floor(number)}{unit}"


def _show_rate(rate):
    return f"{rate:.1f}" if rate < 1000 else f"{rate:.0f}"


def _row(name, values, columns, width):
    cells = "".join(f" {values.get(key, ''):>{size - 1}}" for _, size, key in columns)
    room = width - len(cells)
    return f"{_shorten(name, room):<{room}}{cells}".rstrip()


def _shorten(name, room):
    """Return a name with dots for its middle if it is too long."""
    if len(name) <= room:
        return name
    begin = (room - 3 + 1) // 2
    end = room - 3 - begin
    return f"{name[:begin]}...{name[len(name) - end:]}"


def _fit(tables, height):
    """Return the lines of tables, with as many rows as there is room for."""
    if height is None:
        return [line for head, rows, foot in tables for line in (*head, *rows, *foot)]
    room = height - sum(len(head) + len(foot) for head, _, foot in tables)
    lines = []
    for index, (head, rows, foot) in enumerate(tables):
        # What the tables behind do not need is for this one.
        behind = [len(table[1]) for table in tables[index + 1 :]]
        share = max(room - sum(behind), room // (1 + len(behind)), 1)
        if len(rows) > share:
            hidden = len(rows) - share + 1
            rows = [*rows[: share - 1], f"({hidden} more)"]
        room -= len(rows)
        lines += [*head, *rows, *foot]
    return lines
