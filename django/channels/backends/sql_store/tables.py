"""
The tables of a store, and how they come to be.

Positions, deadlines and all other times are integers, times in microseconds of
the store's clock. All that changes a queue holds the lock on its row first, so
what a row counts is always what the entries are.
"""

# The columns of a queue, in the order of queues.py's Row.
QUEUE_COLUMNS = (
    # Which incarnation claimed it, if it is an inbox; otherwise "".
    "owner",
    # The entries are at positions from head up to, not including, tail.
    "head",
    "tail",
    # How many messages, control entries and kinds of missed messages there are.
    "pending",
    "controls",
    "missed",
    # No message expires earlier than this; NULL if there is none.
    "soonest",
    "used",
    # The counters.
    "sent",
    "delivered",
    "dropped",
    "expired",
    "refused",
    # The end of the running second, the counters at its begin, and by what they
    # grew in the second before.
    "bucket",
    "sent_base",
    "sent_last",
    "refused_base",
    "refused_last",
)

# What is in a table, beside its {types} and the table's own options.
COLUMNS = {
    "meta": (
        "name {name} NOT NULL",
        "value {text} NOT NULL",
        "number {big} NOT NULL",
        "PRIMARY KEY (name)",
    ),
    "queue": (
        "name {name} NOT NULL",
        "owner {name} DEFAULT '' NOT NULL",
        "soonest {big}",
        *(
            f"{column} {{big}} DEFAULT 0 NOT NULL"
            for column in QUEUE_COLUMNS
            if column not in ("owner", "soonest")
        ),
        "PRIMARY KEY (name)",
    ),
    # Control entries have no deadline; their mark is an add count.
    "entry": (
        "queue {name} NOT NULL",
        "position {big} NOT NULL",
        "deadline {big}",
        "mark {big} NOT NULL",
        "payload {blob} NOT NULL",
        "PRIMARY KEY (queue, position)",
    ),
    # Inboxes and plain channels in groups. Plain ones, and inboxes that nobody
    # has claimed, have an end.
    "member": (
        "group_name {name} NOT NULL",
        "name {name} NOT NULL",
        "owner {name} NOT NULL",
        "added {big} NOT NULL",
        "capacity {big} NOT NULL",
        "until {big}",
        "PRIMARY KEY (group_name, name)",
    ),
    # How many messages to a group an inbox had no room for.
    "missed": (
        "queue {name} NOT NULL",
        "group_name {name} NOT NULL",
        "number {big} NOT NULL",
        "PRIMARY KEY (queue, group_name)",
    ),
    # Which process is to be rung when something comes.
    "waiter": (
        "queue {name} NOT NULL",
        "process {name} NOT NULL",
        "since {big} NOT NULL",
        "PRIMARY KEY (queue, process)",
    ),
    "process": (
        "incarnation {name} NOT NULL",
        "host {text} NOT NULL",
        "address {text} NOT NULL",
        "lease {big} NOT NULL",
        "PRIMARY KEY (incarnation)",
    ),
}
INDEXES = (("member", "name"), ("waiter", "process"))

# What the tables look like; another number is another layout.
VERSION = "1"


class Tables:
    """The names of the tables, and the SQL that makes and reads them."""

    def __init__(self, dialect, prefix):
        self.prefix = prefix
        self._dialect = dialect
        self._names = {
            name: dialect.quote_name(f"{prefix}_{name}")
            for name in (*COLUMNS, *dialect.functions)
        }
        self._compiled = {}

    def compile(self, text):
        """Return SQL with the names of {tables} and the database's marks."""
        compiled = self._compiled.get(text)
        if compiled is None:
            compiled = self._dialect.marked(text.format(**self._names))
            self._compiled[text] = compiled
        return compiled

    def creation(self):
        """Return the statements that make the tables where they are missing."""
        dialect = self._dialect
        statements = []
        for name, columns in COLUMNS.items():
            indexes = [column for table, column in INDEXES if table == name]
            lines = [column.format(**dialect.types) for column in columns]
            if not dialect.has_create_index_if_not_exists:
                lines += [f"INDEX ({column})" for column in indexes]
            body = ",\n    ".join(lines)
            statements.append(
                f"CREATE {dialect.table_kind(name)} IF NOT EXISTS "
                f"{self._names[name]} (\n"
                f"    {body}\n){dialect.table_options(name)}"
            )
            if dialect.has_create_index_if_not_exists:
                statements += [
                    f"CREATE INDEX IF NOT EXISTS "
                    f"{dialect.quote_name(f'{self.prefix}_{name}_{column}')} "
                    f"ON {self._names[name]} ({column})"
                    for column in indexes
                ]
        return statements + [
            text.format(**self._names) for text in dialect.functions.values()
        ]

    def deletion(self):
        """Return the statements that delete the tables."""
        return [
            f"DROP {'TABLE' if name in COLUMNS else 'FUNCTION'} IF EXISTS {quoted}"
            for name, quoted in self._names.items()
        ]
