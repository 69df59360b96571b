"""The keys of statistics(), and how those of several queues become one."""

# Sums over all that a queue ever had.
COUNTERS = (
    "messages_count",
    "delivered_count",
    "dropped_count",
    "expired_count",
    "channel_full_count",
)
KEYS = (
    *COUNTERS,
    "messages_pending",
    "messages_count_per_second",
    "channel_full_count_per_second",
    "messages_max_age",
)


def add_up(parts, past=None):
    """
    Return the statistics of several queues together.

    ``past`` has counters of queues that were forgotten.
    """
    total = dict.fromkeys(KEYS, 0) | (past or {})
    for statistics in parts:
        for key, value in statistics.items():
            if key == "messages_max_age":
                total[key] = max(total[key], value)
            else:
                total[key] += value
    return total
