"""What can go wrong with the ledger. Every message names the fact and the remedy."""

from __future__ import annotations


class LedgerError(Exception):
    """Something about the ledger that a caller has to answer to; the classes below say what."""


class LedgerInUse(LedgerError, BlockingIOError):
    """Another process holds the ledger."""


class LedgerDamaged(LedgerError, ValueError):
    """The file is no whole ledger any more; it heals by no retry."""


class LedgerUnavailable(LedgerError, OSError):
    """The medium does not take or give data now: full, read-only, locked, failing. A retry may succeed."""
