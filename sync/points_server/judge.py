"""What a record is worth. Pure: points were shown to a resident, so they are paid or held, never re-priced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from sync.points_server.schema import MAIN
from sync.records import Deposit, Record, Tariff, decode_body

COUNT_MAX = 100
"""Items in one fall; more is no fall but a mistake."""
NAME_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Payable:
    """These points go to this account, once."""

    item_id: str
    account: str
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Kept, and not paid before an operator released it. ``code`` is for machines, ``text`` for people."""

    code: str
    text: str


def judge(record: Record, branch: str, issued: Mapping[int, Tariff]) -> Payable | Held | None:
    """Payable or held for a deposit, held for a body that cannot be read, null for anything else.

    ``issued``: every tariff version that this bin was ever given.
    """
    try:
        body = decode_body(record.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Held(code="unparsable", text=f"the body cannot be read: {error}"[:NAME_CHARACTERS_MAX])
    if body.__struct_config__.tag != record.kind:
        return Held(code="unparsable", text="the body is of another kind than the record says")
    if not isinstance(body, Deposit):
        return None
    if not all(_is_name(name) for name in (body.item_id, body.holder.scheme, body.holder.ref)):
        return Held(code="unparsable", text="item or holder has no proper name")
    if branch != MAIN:
        return Held(code="fork", text="another record already has this identity")
    return _priced(body, issued)


def payable(deposit: Deposit) -> Payable:
    """What the bin showed to the resident."""
    account = f"resident/{deposit.holder.scheme}/{deposit.holder.ref}"
    return Payable(item_id=deposit.item_id, account=account, points=deposit.points)


def _priced(deposit: Deposit, issued: Mapping[int, Tariff]) -> Payable | Held:
    tariff = issued.get(deposit.tariff_version)
    if tariff is None:
        return Held(code="unknown_tariff", text=f"tariff {deposit.tariff_version} was never issued to this bin")
    price = tariff.item_for(deposit.battery_class)
    if price is None or price.item_code != deposit.item_code or not 1 <= deposit.count <= COUNT_MAX:
        return Held(code="price_mismatch", text=f"tariff {tariff.version} has no such item, or not so many of it")
    expected = 0 if deposit.unpaid else price.points * deposit.count
    if deposit.points != expected:
        return Held(
            code="price_mismatch", text=f"shown {deposit.points} points, tariff {tariff.version} says {expected}"
        )
    return payable(deposit)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_CHARACTERS_MAX and text.isprintable()
