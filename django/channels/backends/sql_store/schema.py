"""
Whether the tables are there and are ours, and making them.

In: each new connection of connections.py; createchanneltable. Out: the SQL of
tables.py. In a file of its own, and while tests run, the tables make themselves.
"""

from django.channels.exceptions import LayerUnavailable

from .tables import VERSION
from .testing import in_tests


class Schema:
    """The tables as they are found."""

    def __init__(self, dialect, tables):
        self._dialect = dialect
        self._tables = tables
        # (incarnation, time) of the last renewal of this process's lease.
        self.proof = None
        # The last life of the server that this process knows of.
        self._life = None

    def check(self, cursor):
        """
        Raise the driver's error if there are no tables, LayerUnavailable if others.

        Where the tables make themselves, make them instead.
        """
        if not (self._dialect.has_own_file or in_tests()):
            found = self._find(cursor)
            if found is None:
                # Somebody emptied all tables.
                cursor.execute(self._mark())
            elif found != self._expected():
                raise LayerUnavailable(
                    f"The tables {self._tables.prefix}_… in the "
                    f"{self._dialect.place()} are of another version: run manage.py "
                    "createchanneltable."
                )
        elif not self.is_there(cursor):
            self.make(cursor)
        self._life = self._dialect.settle(cursor, self._tables, self.proof, self._life)

    def is_there(self, cursor):
        """Return whether the tables are there, and are what they have to be."""
        try:
            return self._find(cursor) == self._expected()
        except self._dialect.driver.Error as error:
            if not self._dialect.is_missing_table(error):
                raise
            return False

    def make(self, cursor):
        """Make the tables unless they are there; return whether they were not."""
        self._dialect.begin_making(cursor)
        try:
            missing = self._look_again(cursor)
            if missing:
                for statement in self._tables.deletion() + self.statements():
                    cursor.execute(statement)
                self._dialect.after_making()
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        else:
            cursor.execute("COMMIT")
        finally:
            self._dialect.end_making(cursor)
        return missing

    def _look_again(self, cursor):
        if not self._dialect.can_roll_back_tables:
            return not self.is_there(cursor)
        # An error would end the transaction.
        cursor.execute("SAVEPOINT made")
        missing = not self.is_there(cursor)
        cursor.execute("ROLLBACK TO SAVEPOINT made")
        return missing

    def statements(self):
        """Return what makes the tables, the last one to say that all is there."""
        return [*self._tables.creation(), self._mark()]

    def _mark(self):
        sql = self._dialect.insert(
            "INSERT INTO {meta} (name, value, number) "
            f"VALUES ('version', '{self._expected()}', 0), ('pruned', '', 0), "
            f"('life', '', {self._dialect.life_sql})"
        )
        return self._tables.compile(sql)

    def _find(self, cursor):
        cursor.execute(
            self._tables.compile("SELECT value FROM {meta} WHERE name = %s"),
            ("version",),
        )
        found = cursor.fetchone()
        return found and found[0]

    def _expected(self):
        return f"{VERSION} {self._dialect.era()}".strip()
