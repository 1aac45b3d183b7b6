"""The local queue of credits: append-only records in SQLite, kept through every trouble of its medium."""
