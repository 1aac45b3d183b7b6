"""Technicians' commands: one file per noun, imported only when it is called."""

from __future__ import annotations

import importlib

import click

COMMANDS = ("config", "decode", "demo", "empty", "enrol", "hazard", "ledger", "replay", "run", "status")

EXIT_CODES = """
Exit codes: 0 done; 1 refused, broken or not found; 2 wrong usage or configuration; 3 the daemon is not running, or
already is.
"""


class Commands(click.Group):
    """Finds ``kiosk NAME`` in the module kiosk.cli.NAME."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kiosk.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.command(cls=Commands, epilog=EXIT_CODES)
@click.version_option(package_name="battery-kiosk", prog_name="kiosk")
def main() -> None:
    """The controller of a battery bin, and the tools of those who look after it."""
