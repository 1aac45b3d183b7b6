"""Tables of the points server: portable SQL, SQLite now, PostgreSQL later; bodies are bytes that no database parses.

``branch`` is empty for what a generation held first. Records that were sent under an identity already taken form a
branch named by the hash of its first record: both are kept.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

MAIN = ""

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")

server = Table(
    "server",
    metadata,
    Column("only_row", Integer, primary_key=True),
    Column("signing_key", LargeBinary, nullable=False),
    Column("nonce_key", LargeBinary, nullable=False),
    Column("programme_key_id", Text, nullable=False),
    Column("programme_key", LargeBinary, nullable=False),
    Column("programme_salt", LargeBinary, nullable=False),
)

bins = Table(
    "bins",
    metadata,
    Column("bin_id", Text, primary_key=True),
    Column("public_key", Text, unique=True),
    Column("synced_ms", BigInteger),
    Column("seen_ms", BigInteger),
    Column("status", LargeBinary),
)

enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    Column("code_sha256", Text, primary_key=True),
    Column("bin_id", Text, nullable=False),
    Column("public_key", Text),
)

nonces = Table(
    "nonces",
    metadata,
    Column("nonce", Text, primary_key=True),
    Column("expires_ms", BigInteger, nullable=False, index=True),
)

records = Table(
    "records",
    metadata,
    Column("bin_id", Text, primary_key=True),
    Column("generation", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("branch", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("mono_ms", BigInteger, nullable=False),
    Column("wall_ms", BigInteger),
    Column("clock", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("bin_id", Text, primary_key=True),
    Column("generation", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("branch", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("bin_id", Text, nullable=False),
    Column("generation", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("branch", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("posted_ms", BigInteger, nullable=False),
    UniqueConstraint("bin_id", "generation", "seq", "branch", "account"),
    Index("journal_items", "bin_id", "item_id"),
)

tariffs = Table(
    "tariffs",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

tariff_issues = Table(
    "tariff_issues",
    metadata,
    Column("bin_id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("issued_ms", BigInteger, nullable=False),
)

alarms = Table(
    "alarms",
    metadata,
    Column("bin_id", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)
