"""Double entry: what a resident is given comes out of the programme's account; all lines together are always zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert

from sync.points_server import schema
from sync.points_server.judge import Payable

PROGRAMME = "programme"


def post(db: Connection, due: Sequence[tuple[Mapping[str, Any], Payable]], now_ms: int) -> None:
    """Two lines for each payment, under the place (bin, generation, seq, branch) of the record that it pays.

    The database refuses a second posting for the same place. An unpaid deposit posts two lines of 0.
    """
    lines = [
        {**place, "item_id": payment.item_id, "account": account, "points": points, "posted_ms": now_ms}
        for place, payment in due
        for account, points in ((payment.account, payment.points), (PROGRAMME, -payment.points))
    ]
    if lines:
        db.execute(insert(schema.journal), lines)
