"""
One transaction, as the parts of the store see it.

In: connections.py begins and commits it. Out: the driver's cursor.
"""


class Step:
    """One transaction."""

    __slots__ = ("cursor", "rings", "_compile", "_clock", "_now")

    def __init__(self, cursor, tables, dialect):
        self.cursor = cursor
        # What is done after the commit: (process, host, address, queue), …
        self.rings = []
        self._compile = tables.compile
        self._clock = dialect.now
        self._now = None

    @property
    def now(self):
        """The time of the store in microseconds, the same for a whole step."""
        if self._now is None:
            self._now = self._clock(self.cursor)
        return self._now

    def execute(self, sql, values=()):
        """Execute a statement; return how many rows it changed."""
        self.cursor.execute(self._compile(sql), values)
        return self.cursor.rowcount

    def execute_many(self, sql, rows):
        """Execute a statement for each row of values."""
        self.cursor.executemany(self._compile(sql), rows)

    def rows(self, sql, values=()):
        """Return the rows of a query."""
        self.cursor.execute(self._compile(sql), values)
        return self.cursor.fetchall()

    def row(self, sql, values=()):
        """Return the first row of a query, or None."""
        self.cursor.execute(self._compile(sql), values)
        return self.cursor.fetchone()
