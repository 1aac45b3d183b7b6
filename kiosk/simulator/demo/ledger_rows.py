"""The points server's operator view, cut down to what the page's right pane shows."""

from __future__ import annotations

import json
from typing import Any

UNTOLD = ("tip_confirmed", "time_anchor", "boot", "generation_started")
"""Routine: without these a newcomer sees the deposits."""


def ledger_of(overview: dict[str, Any]) -> dict[str, Any]:
    """Rows newest first: what a record says, and what was posted for it."""
    posted = {
        (line["generation"], line["seq"], line["branch"]): line["points"]
        for line in overview["journal"]
        if line["account"] != "programme"
    }
    return {
        "rows": [
            row_of(record, posted.get((record["generation"], record["seq"], record["branch"])))
            for record in overview["records"]
            if record["kind"] not in UNTOLD
        ],
        "totals": overview["totals"],
    }


def row_of(record: dict[str, Any], points: int | None) -> dict[str, Any]:
    try:
        body = json.loads(record["body"])
    except ValueError:
        body = {}
    holder = body.get("holder") or {}
    return {
        "id": f"{record['generation']}:{record['seq']}",
        "seq": record["seq"],
        "kind": record["kind"],
        "held": record["verdict"] == "held",
        "code": record["code"],
        "item_id": body.get("item_id"),
        "class": body.get("battery_class"),
        "reason": body.get("reason") or body.get("hazard") or body.get("detail"),
        "mass_mg": body.get("mass_mg"),
        "holder": str(holder.get("ref", ""))[-6:],
        "scheme": holder.get("scheme"),
        "points": points,
        "at_ms": record["received_ms"],
    }
