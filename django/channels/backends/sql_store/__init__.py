"""The store of the database layer: tables in SQLite, PostgreSQL, MySQL or MariaDB."""
