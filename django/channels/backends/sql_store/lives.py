"""
The lives of a PostgreSQL server: whether its tables are as they were left.

In: each new connection of postgresql.py. Out: the tables, emptied if in doubt.

A server that is stopped and started keeps its rows. One that starts with the
data of an earlier day has them as well, and would have messages received again
that were received since. A process that knows of a later life than the tables do
knows better. So does one that has renewed its lease after the server was
stopped, which the control file tells.
"""

from django.channels.exceptions import LayerUnavailable

# Seconds after its start in which only those who know may go on.
DOUBT_SECONDS = 3
SECOND = 1_000_000
# The tables that are emptied, in this order.
EMPTIED = ("waiter", "missed", "member", "entry", "queue", "process")

LIFE_SQL = "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
# The life that the tables were used in last, and the one that runs.
_LIVES = f"SELECT number, {LIFE_SQL} FROM {{meta}} WHERE name = 'life'"
# The start, the time since, the stop before, and whether anything is there.
_STATE = f"""
SELECT {LIFE_SQL},
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - {LIFE_SQL},
    (
        SELECT extract(epoch FROM checkpoint_time)::bigint * 1000000
        FROM pg_control_checkpoint()
    ),
    EXISTS (SELECT 1 FROM {{queue}}) OR EXISTS (SELECT 1 FROM {{member}})
"""
_LEASE = "SELECT 1 FROM {process} WHERE incarnation = %s AND lease > %s"
_MARK = f"UPDATE {{meta}} SET number = {LIFE_SQL} WHERE name = 'life'"


def settle(dialect, cursor, tables, proof, known):
    """
    Return the life of the server; empty the tables if they may be older.

    ``known`` is the last life that this process knows of. Raise LayerUnavailable
    as long as others may know more.
    """
    before, now = _fetch(cursor, tables, _LIVES)
    if before == now:
        return now
    dialect.begin_making(cursor)
    try:
        before, now = _fetch(cursor, tables, _LIVES)
        if before != now:
            older = known is not None and before < known
            if older or not _is_intact(dialect, cursor, tables, proof):
                for name in EMPTIED:
                    cursor.execute(tables.compile(f"DELETE FROM {{{name}}}"))
            cursor.execute(tables.compile(_MARK))
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")
    return now


def _is_intact(dialect, cursor, tables, proof):
    start, age, stop, filled = _fetch(cursor, tables, _STATE)
    if not filled:
        return True
    if proof is not None and stop <= start:
        incarnation, seen = proof
        # The control file knows seconds only.
        if seen > stop + SECOND:
            return False
        if _fetch(cursor, tables, _LEASE, (incarnation, stop)):
            return True
    if age < DOUBT_SECONDS * SECOND:
        raise LayerUnavailable(
            f"The {dialect.place()} has just started, and nobody has told yet whether "
            "it has what it had before."
        )
    return False


def _fetch(cursor, tables, sql, values=()):
    cursor.execute(tables.compile(sql), values)
    return cursor.fetchone()
