"""
PostgreSQL: unlogged tables, the server's clock, LISTEN/NOTIFY.

Unlogged tables cost no log, keep their rows over a restart and lose them in a
crash, as a whole. So nothing comes back that was taken before, and a process
sees the loss by its own lease, which is gone with the rest.
"""

from .bells import can_read
from .dialects import IDLE_SECONDS, LOCK_SECONDS, Dialect
from .functions import FUNCTIONS, expand
from .lives import LIFE_SQL, settle

# After how many times a statement is prepared.
PREPARE_THRESHOLD = 2
# How long to wait, and what suits small tables that are always read by their keys.
SETTINGS = (
    f"lock_timeout = '{LOCK_SECONDS} s'",
    f"idle_in_transaction_session_timeout = '{IDLE_SECONDS} s'",
    "synchronous_commit = off",
    "enable_seqscan = off",
    "jit = off",
    "plan_cache_mode = force_generic_plan",
)
# States of the server's errors. One that stood still in a transaction has lost that,
# and begins it again as after a conflict.
CONFLICTS = ("40001", "40P01", "25P03")
NO_SUCH_TABLE = ("42P01", "42883")


class PostgreSQL(Dialect):
    """See Dialect."""

    display_name = "PostgreSQL"
    waking = "notified by the database"
    can_notify = True
    types = Dialect.types | {"blob": "bytea"}
    functions = {name: expand(text) for name, text in FUNCTIONS.items()}
    life_sql = LIFE_SQL
    now_sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

    def __init__(self, *args):
        super().__init__(*args)
        # Is the driver psycopg 3?
        self._is_psycopg3 = hasattr(self.driver, "pq")

    def table_kind(self, name):
        # A crash leaves what says that the tables are there.
        return "TABLE" if name == "meta" else "UNLOGGED TABLE"

    def table_options(self, name):
        # Rows live for milliseconds: clear up often, and leave room for those that
        # are changed.
        fill = 100 if name in ("entry", "waiter") else 50
        return f" WITH (fillfactor = {fill}, autovacuum_vacuum_scale_factor = 0.05)"

    def settings(self, settings):
        options = {"connect_timeout": 10, **settings["OPTIONS"]}
        for name in ("pool", "isolation_level", "server_side_binding"):
            options.pop(name, None)
        return {**super().settings(settings), "OPTIONS": options}

    def begin_making(self, cursor):
        self.begin(cursor)
        # Unlike messages, the tables outlive a crash.
        cursor.execute("SET LOCAL synchronous_commit = on")
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('django_channels'))")

    def prepare(self, connection):
        with self.cursor(connection) as cursor:
            for setting in SETTINGS:
                cursor.execute(f"SET {setting}")

    def cursor(self, connection):
        if not self._is_psycopg3:
            return connection.cursor()
        # Not Django's, which writes the values into the statement.
        connection.prepare_threshold = PREPARE_THRESHOLD
        return self.driver.Cursor(connection)

    def settle(self, cursor, tables, proof, known):
        return settle(self, cursor, tables, proof, known)

    def is_stale(self, connection):
        # Nothing comes on an idle connection but the server's farewell.
        return connection.closed or can_read(connection.fileno())

    def notify(self, step, process, queue):
        step.execute("SELECT pg_notify(%s, %s)", (self.listening_name(process), queue))

    def listening_name(self, process):
        """Return the name of the notifications for a process."""
        return f"channels_{process}"

    def notifications(self, connection):
        """Return the payloads of the notifications that have come."""
        if self._is_psycopg3:
            connection.pgconn.consume_input()
            payloads = []
            while (notify := connection.pgconn.notifies()) is not None:
                payloads.append(notify.extra.decode())
            return payloads
        connection.poll()
        payloads = [notify.payload for notify in connection.notifies]
        connection.notifies.clear()
        return payloads

    def is_conflict(self, error):
        return self._state(error) in CONFLICTS

    def is_lost(self, raw, error):
        return isinstance(error, self.driver.Error) and bool(raw.closed)

    def is_missing_table(self, error):
        return self._state(error) in NO_SUCH_TABLE

    def _state(self, error):
        return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
