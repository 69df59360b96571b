"""
How steps are run: in a transaction each, and again where that is safe.

In: steps of store.py, each a function that is given a Step. Out: connections.py.
"""

from .steps import Step

# How often a transaction is repeated that failed for another one.
MAX_CONFLICTS = 10


class Runner:
    """Runs steps on the connections of a pool."""

    def __init__(self, pool, tables):
        self._pool = pool
        self._dialect = pool.dialect
        self._tables = tables

    def run(self, work, *args, begin=True):
        """
        Return ``work(step, *args)`` and what it left to ring, in a transaction.

        Without ``begin`` it is one statement, which is a transaction of its own.
        """
        was_lost = False
        for attempt in range(MAX_CONFLICTS):
            with self._pool.errors():
                connection = self._begin() if begin else self._pool.acquire()
            step = Step(connection.cursor, self._tables, self._dialect)
            # Could it be that it stands, although it fails?
            may_stand = not begin
            try:
                result = work(step, *args)
                if begin:
                    may_stand = True
                    connection.cursor.execute("COMMIT")
            except BaseException as error:
                is_lost = self._dialect.is_lost(connection.raw, error)
                self._roll_back(connection)
                again = self._dialect.is_conflict(error)
                if is_lost and not (may_stand or was_lost):
                    again = was_lost = True
                if not again or attempt + 1 == MAX_CONFLICTS:
                    self._pool.fail(error)
                continue
            self._pool.release(connection)
            return result, step.rings

    def read(self, work, *args):
        """Return ``work(step, *args)``, one query that needs no transaction."""
        with self._pool.errors():
            connection = self._pool.acquire()
            try:
                step = Step(connection.cursor, self._tables, self._dialect)
                result = work(step, *args)
            except BaseException:
                self._pool.discard(connection)
                raise
            self._pool.release(connection)
            return result

    def make(self, function):
        """Return what a function does with a cursor that is not set up."""
        self._pool.check_name()
        with self._pool.errors():
            raw = self._pool.open()
            try:
                return function(self._dialect.cursor(raw))
            finally:
                raw.close()

    def _begin(self):
        connection = self._pool.acquire()
        try:
            self._dialect.begin(connection.cursor)
        except self._dialect.driver.Error as error:
            self._pool.discard(connection)
            if self._dialect.has_one_writer and "locked" in str(error):
                raise
        except BaseException:
            self._pool.discard(connection)
            raise
        else:
            return connection
        # It was idle, and its server went away. Nothing was done yet.
        self._pool.discard_free()
        connection = self._pool.acquire()
        try:
            self._dialect.begin(connection.cursor)
        except BaseException:
            self._pool.discard(connection)
            raise
        return connection

    def _roll_back(self, connection):
        try:
            connection.cursor.execute("ROLLBACK")
        except Exception:
            self._pool.discard(connection)
        else:
            self._pool.release(connection)
