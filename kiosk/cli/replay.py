"""``kiosk replay``: a decision made again from its evidence, in words."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from kiosk.cli.asking import Failure, ask_ledger, config_option, json_option, print_json, readable
from kiosk.config import Config
from kiosk.core import judge
from sync.records import Evidence


@click.command()
@click.argument("item_id", callback=readable)
@config_option
@json_option
def replay(item_id: str, config: Config, as_json: bool) -> None:
    """Judge the item ITEM_ID again from its kept evidence, step by step, and compare with what was recorded.

    \b
    Example: kiosk replay 3f2a9c5e8b7d4c1fa0e6b2d8c4a71935
    Exit codes: 0 the same decision, 1 another one, or no evidence, 2 wrong usage, 3 the ledger is in use.
    """
    shown = ask_ledger(config, {"ask": "show", "ref": item_id})
    if not shown.get("evidence"):
        raise Failure(f"{item_id} has no evidence: it was pruned after acknowledgement, or its kind keeps none")
    try:
        evidence = msgspec.convert(shown["evidence"], Evidence)
    except msgspec.ValidationError as error:
        raise Failure(f"{item_id}: its evidence is damaged ({error}); look with: kiosk ledger verify") from error
    rules = judge.ALL_RULES.get(evidence.rules)
    if rules is None:
        raise Failure(f"judged by rules {evidence.rules}, which this version does not have: use a newer one")
    verdict = judge.judge(evidence, rules)
    recorded = shown["body"].get("battery_class") or shown["body"].get("reason")
    same = recorded in (verdict.battery_class, verdict.code) or imposed(shown["body"])
    if as_json:
        print_json({"verdict": msgspec.to_builtins(verdict), "recorded": recorded, "same": same})
    else:
        click.echo("\n".join(steps(evidence, verdict)))
        click.echo(f"recorded: {recorded}: {'the same' if same else 'NOT the same'}")
    if not same:
        raise Failure("the replay does not give what was recorded: keep this ledger and report it")


def imposed(body: dict[str, Any]) -> bool:
    """Refused for what happened around the item (door, hazard, cap, tariff), whatever the evidence alone would say."""
    return body.get("reason") in ("door", "hazard", "over_cap", "unpriced", "unclear")


def steps(evidence: Evidence, verdict: judge.Verdict) -> list[str]:
    """The decision in words, in the order in which it was made."""
    told = [f"rules {evidence.rules}"]
    for number, passage in enumerate(evidence.passages, start=1):
        way = judge.way_of(passage)
        last_us = passage.edges[-1][2] if passage.edges else 0
        told.append(f"passage {number}: {way}, {len(passage.edges)} edges in {last_us / 1000:.1f} ms")
        if way == "fell":
            lengths = ", ".join(f"{extent / 1000:.1f} mm" for extent in judge.extents_um(passage))
            told.append(f"  length along the fall: {lengths}")
        metal = any(line == "metal" and active for line, active, _ in passage.edges)
        told.append(f"  metal {'seen' if metal else 'not seen'}")
    readings = ", ".join(
        f"{sample.mass_mg / 1000:.2f} g{'' if sample.stable else ' (moving)'}" for sample in evidence.masses
    )
    told.append(f"scale: {readings or 'no reading'}; tare {evidence.tare_mg / 1000:.2f} g")
    told.append("mass: not settled" if evidence.mass_mg is None else f"mass: {evidence.mass_mg / 1000:.2f} g")
    told.append(
        f"verdict: {verdict.count} x {verdict.battery_class}"
        if verdict.accepted
        else f"verdict: refused, {verdict.code}"
    )
    return told
