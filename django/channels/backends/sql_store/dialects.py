"""
What differs between databases, as the store asks for it.

In: connections.py and the statements of the store. Out: sqlite.py, postgresql.py
and mysql.py, one for each.
"""

from django.db.models.constants import OnConflict

# How long one process waits for another one's transaction, in seconds.
LOCK_SECONDS = 10
# How long the server leaves a transaction to a process that does nothing in it, in
# seconds: that one was stopped, and others wait for its locks.
IDLE_SECONDS = 3


class Dialect:
    """The base of the three. ``wrapper`` is Django's, and never connected."""

    display_name = None
    # How readers learn that something came, for a human.
    waking = None
    # Does Django's own test runner have nothing to do with the file?
    has_own_file = False
    # Is one transaction that writes the only one in the whole database?
    has_one_writer = False
    # Does the database tell waiting processes (LISTEN/NOTIFY)?
    can_notify = False
    # Do all processes of the store have sockets that the others reach?
    has_all_on_one_machine = False
    # Are tables that are made in a transaction gone when it is rolled back?
    can_roll_back_tables = True
    # May CREATE INDEX say IF NOT EXISTS?
    has_create_index_if_not_exists = True
    # How many connections a process opens at most, beside the listening one.
    max_connections = 4

    # {name: SQL} of whole calls that the database carries out itself.
    functions = {}
    types = {"name": "varchar(100)", "text": "varchar(200)", "big": "bigint"}
    begin_sql = "BEGIN"
    # What names the running life of the server, as a number.
    life_sql = "0"
    # What is added to a SELECT of rows that are to be changed.
    for_update = " FOR UPDATE"
    for_update_skip = " FOR UPDATE SKIP LOCKED"
    now_sql = None

    def __init__(self, wrapper, path=None):
        self.wrapper = wrapper
        self.driver = wrapper.Database
        self.path = path

    # SQL.

    def quote_name(self, name):
        """Return a name as an identifier."""
        return self.wrapper.ops.quote_name(name)

    def marked(self, sql):
        """Return SQL, written with %s, with the driver's marks."""
        return sql

    def insert(self, sql):
        """Return an INSERT that leaves a row that is there as it is."""
        ops = self.wrapper.ops
        begin = ops.insert_statement(on_conflict=OnConflict.IGNORE)
        suffix = ops.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])
        return f"{begin}{sql.removeprefix('INSERT INTO')} {suffix}".rstrip()

    def table_kind(self, name):
        """Return what CREATE makes."""
        return "TABLE"

    def table_options(self, name):
        """Return what follows the columns in CREATE TABLE."""
        return ""

    # Connections.

    def settings(self, settings):
        """Return the settings of the application's connection, for an own one."""
        return {**settings, "AUTOCOMMIT": True, "CONN_MAX_AGE": None}

    def prepare(self, connection):
        """Set up a new connection of the driver."""

    def cursor(self, connection):
        """Return a cursor of a connection of the driver."""
        return connection.cursor()

    def begin(self, cursor):
        """Begin a transaction that writes."""
        cursor.execute(self.begin_sql)

    @property
    def folder(self):
        """The folder of sockets of this store alone, or None if it has none."""
        return None

    def begin_making(self, cursor):
        """Begin to make tables, as the only one who does."""
        self.begin(cursor)

    def after_making(self):
        """Clear what belonged to tables before."""

    def end_making(self, cursor):
        """Let others make tables again."""

    def settle(self, cursor, tables, proof, known):
        """
        Drop, on a new connection, what a server may have from another life.

        Return the life that runs, for the next time.
        """

    def era(self):
        """Return what rows that are found in the tables have to be of."""
        return ""

    def now(self, cursor):
        """Return the time of the store, in microseconds."""
        cursor.execute(self.now_sql)
        return cursor.fetchone()[0]

    def change_name(self, name):
        """Note the NAME of the application's database."""

    def is_stale(self, connection):
        """Return whether the other side of an idle connection is seen to be gone."""
        return False

    def notify(self, step, process, queue):
        """Tell a process, once the transaction is committed."""

    # Errors.

    def is_conflict(self, error):
        """Return whether a transaction failed for another one, and may be repeated."""
        return False

    def is_lost(self, raw, error):
        """Return whether an error of a connection means that its server ended it."""
        return False

    def is_missing_table(self, error):
        """Return whether the tables are not there."""
        return False

    def explain(self, error):
        """Return the reason of an error in one line, without what was sent."""
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__

    def place(self):
        """Return where the tables are, for a human."""
        settings = self.wrapper.settings_dict
        host = f" at {settings['HOST']}" if settings.get("HOST") else ""
        return f"{self.display_name} database {settings['NAME']!r}{host}"
