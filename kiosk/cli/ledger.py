"""``kiosk ledger``: what the bin remembers."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import click

from kiosk.cli.asking import NOT_RUNNING, Failure, ask_ledger, config_option, json_option, print_json, readable
from kiosk.config import Config
from kiosk.ledger_questions import LIST_MAX
from sync.ledger.errors import LedgerError, LedgerInUse
from sync.ledger.recovery import set_aside


@click.group()
def ledger() -> None:
    """Read, check and renew the ledger. Reading works with and without the daemon."""


@ledger.command("list")
@click.option("--kind", help="Only this kind, such as deposit or fault_raised.")
@click.option("--limit", type=click.IntRange(1, LIST_MAX), default=50, show_default=True, help="The newest so many.")
@config_option
@json_option
def list_(kind: str | None, limit: int, config: Config, as_json: bool) -> None:
    """List the newest records, oldest first.

    \b
    Example: kiosk ledger list --kind deposit --limit 10
    Exit codes: 0 listed, 1 the ledger cannot be read, 2 wrong usage, 3 it is in use and its daemon does not answer.
    """
    reply = ask_ledger(config, {"ask": "list", "kind": kind, "limit": limit})
    for record in reply["records"]:
        if as_json:
            print_json(record)
        else:
            click.echo(line(record))


@ledger.command()
@click.argument("ref", callback=readable)
@config_option
@json_option
def show(ref: str, config: Config, as_json: bool) -> None:
    """Show one record, by item id or generation:seq, with its evidence and what became of it.

    \b
    Example: kiosk ledger show 3f2a9c5e8b7d4c1fa0e6b2d8c4a71935
    Exit codes: 0 shown, 1 no such record, 2 wrong usage, 3 the ledger is in use and its daemon does not answer.
    """
    reply = ask_ledger(config, {"ask": "show", "ref": ref})
    if as_json:
        print_json(reply)
        return
    click.echo(line(reply))
    for name, value in reply["body"].items():
        click.echo(f"  {name}: {value}")
    click.echo(f"  server: {reply['fate']}")
    for tip in reply.get("tip", []):
        click.echo(f"  tip: {tip['kind']} {tip['body'].get('reason', '')}".rstrip())
    if "evidence" in reply:
        click.echo("  evidence: pruned" if reply["evidence"] is None else f"  evidence: see 'kiosk replay {ref}'")


@ledger.command()
@config_option
@json_option
def verify(config: Config, as_json: bool) -> None:
    """Check every hash, every evidence digest and the database itself.

    \b
    Example: kiosk ledger verify
    Exit codes: 0 whole, 1 problems found, 2 wrong configuration, 3 in use and its daemon does not answer.
    """
    problems: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        reply = ask_ledger(config, {"ask": "verify", "after": after})
        problems += reply["problems"]
        after = reply["after"]
    if as_json:
        print_json({"records": reply["records"], "problems": problems})
    else:
        for problem in problems:
            where = "the file" if problem["seq"] is None else f"{problem['generation']}:{problem['seq']}"
            click.echo(f"{where}: {problem['fact']}")
        click.echo(f"{reply['records']} records, {len(problems)} problems")
    if problems:
        raise Failure("the ledger is not whole: stop the daemon, then: kiosk ledger renew")


@ledger.command()
@click.confirmation_option(prompt="Set the ledger aside whole, and begin a new one at the next start?")
@config_option
def renew(config: Config) -> None:
    """Set a damaged ledger aside, whole, so that the next start begins a new generation. The daemon must be stopped.

    \b
    Nothing is deleted: send the folder that is named to whoever looks after the points server.
    Example: systemctl stop battery-kiosk && kiosk ledger renew --yes
    Exit codes: 0 set aside, 1 it cannot be moved, 2 wrong usage, 3 the daemon still runs.
    """
    try:
        folder = set_aside(config.state_dir / "ledger.sqlite")
    except LedgerInUse as error:
        raise Failure(str(error), NOT_RUNNING) from error
    except LedgerError as error:
        raise Failure(str(error)) from error
    click.echo(f"set aside in {folder}; the next start begins a new generation")


def line(record: dict[str, Any]) -> str:
    """One record on one line: identity, time, kind, and what matters most of its body."""
    told = [f"{record['generation']}:{record['seq']}", time_of(record), record["kind"]]
    try:
        told += ["unreadable"] if "unreadable" in record["body"] else what_matters(record["kind"], record["body"])
    except KeyError:
        told.append("unreadable")
    return "  ".join(str(part) for part in told if part)


def time_of(record: dict[str, Any]) -> str:
    """When it was written, by the wall clock if that was known, else since the controller started."""
    if record["wall_ms"] is not None:
        # A date that no calendar has is a damaged one; the record is still worth its line.
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(record["wall_ms"] / 1000).astimezone().isoformat(timespec="seconds")
    return f"boot+{record['mono_ms'] / 1000:.0f}s"


def what_matters(kind: str, body: dict[str, Any]) -> list[Any]:
    """Raises KeyError for a body that is not of its kind."""
    match kind:
        case "deposit":
            pay = "unpaid" if body["unpaid"] else f"+{body['points']}"
            return [body["item_id"], f"{body['count']} x {body['battery_class']}", pay]
        case "refusal" | "tip_failed":
            return [body["item_id"], body["reason"]]
        case "tip_confirmed":
            return [body["item_id"]]
        case "fault_raised" | "fault_cleared":
            return [body["device"], body.get("detail", "")]
        case "hazard_raised" | "hazard_cleared":
            return [body["hazard"], body.get("detail") or body["reason"]]
        case _:
            return []
