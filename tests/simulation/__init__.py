"""The whole system in virtual time, by seed: real core, ledger, wire bytes, server and parsers; see ``run.py``."""
