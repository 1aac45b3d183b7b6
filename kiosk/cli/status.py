"""``kiosk status``: how the bin is, now."""

from __future__ import annotations

from typing import Any

import click

from kiosk.cli.asking import ask_daemon, config_option, json_option, print_json
from kiosk.config import Config


@click.command()
@config_option
@json_option
def status(config: Config, as_json: bool) -> None:
    """Show whether the bin is open, what is wrong, and where its credits are.

    \b
    Example: kiosk status --json | jq .deposits
    Exit codes: 0 answered, 2 wrong configuration, 3 the daemon is not running.
    """
    reply = ask_daemon(config, {"do": "status"})
    if as_json:
        print_json(reply)
    else:
        click.echo("\n".join(lines(reply)))


def lines(s: dict[str, Any]) -> list[str]:
    """The status in a technician's words."""
    deposits, server = s["deposits"], s["server"]
    told = [
        "open" if s["open"] else f"closed: {s['closed_because']}",
        f"state     {s['phase']}, screen shows {s['screen']}",
        f"deposits  {deposits['accepted']} accepted = {deposits['acknowledged']} acknowledged"
        f" + {deposits['pending']} pending + {deposits['held']} held; {deposits['since_emptied']} since emptied"
        if s["ledger_open"]
        else "deposits  not known: the ledger is not open",
        f"server    {'online' if server['online'] else 'offline'}"
        + (f": {server['trouble']}" if server["trouble"] else ""),
        f"tariff    {s['tariff'] if s['tariff'] is not None else 'none yet: the server sends it at the first contact'}",
    ]
    for name, celsius in s["temperatures"].items():
        told.append(f"heat      {name} {'no reading' if celsius is None else f'{celsius:.1f} °C'}")
    told += [f"HAZARD    {hazard}: see 'kiosk hazard show'" for hazard in s["hazards"]]
    told += [f"fault     {device}: {detail}" for device, detail in s["faults"].items()]
    if s["storage"]:
        told.append(f"storage   {s['storage']}")
    return told
