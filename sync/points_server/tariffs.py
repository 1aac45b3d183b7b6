"""Prices: versions that never change once they are known, and which bin was given which."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, insert, select

from sync.points_server import schema
from sync.records import Tariff, TariffItem
from sync.tariff_bounds import fault_of

DEFAULT_TARIFF = Tariff(
    version=1,
    # Example codes and prices: a real programme has its own catalogue.
    items={
        "AAA": TariffItem(item_code="B01-01", points=5),
        "AA": TariffItem(item_code="B01-02", points=10),
        "C": TariffItem(item_code="B01-03", points=20),
        "D": TariffItem(item_code="B01-04", points=30),
        "9V": TariffItem(item_code="B01-05", points=25),
        "18650": TariffItem(item_code="B02-01", points=40),
        "coin": TariffItem(item_code="B03-01", points=5),
        "other": TariffItem(item_code="B09-01", points=5),
    },
)


def read_tariff(path: Path) -> Tariff:
    """A tariff from a TOML or JSON file: ``version`` and, for each class, ``items.CLASS = {item_code, points}``.

    Raises :class:`ValueError` that names what is wrong, :class:`OSError` when the file cannot be read.
    """
    data = path.read_bytes()
    try:
        content = msgspec.json.decode(data) if path.suffix == ".json" else tomllib.loads(data.decode())
        tariff = msgspec.convert(content, Tariff, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    if fault := fault_of(tariff):
        raise ValueError(f"{path}: {fault}")
    return tariff


def add(db: Connection, tariff: Tariff) -> None:
    """Make a version known; the highest one is current. Raises :class:`ValueError` when it is known otherwise."""
    known = find(db, tariff.version)
    if known == tariff:
        return
    newest = db.execute(select(func.max(schema.tariffs.c.version))).scalar()
    if newest is not None and tariff.version <= newest:
        raise ValueError(f"tariff {tariff.version}: versions never change and only go up; the newest is {newest}")
    db.execute(insert(schema.tariffs).values(version=tariff.version, body=msgspec.json.encode(tariff)))


def find(db: Connection, version: int) -> Tariff | None:
    body = db.execute(select(schema.tariffs.c.body).where(schema.tariffs.c.version == version)).scalar()
    return None if body is None else msgspec.json.decode(body, type=Tariff)


def current(db: Connection) -> Tariff:
    body = db.execute(select(schema.tariffs.c.body).order_by(schema.tariffs.c.version.desc()).limit(1)).scalar_one()
    return msgspec.json.decode(body, type=Tariff)


def issued_to(db: Connection, bin_id: str) -> dict[int, Tariff]:
    """Every version that the bin was ever given: it stays payable for ever."""
    rows = db.execute(
        select(schema.tariffs.c.body)
        .join(schema.tariff_issues, schema.tariff_issues.c.version == schema.tariffs.c.version)
        .where(schema.tariff_issues.c.bin_id == bin_id)
    )
    return {tariff.version: tariff for tariff in (msgspec.json.decode(body, type=Tariff) for body in rows.scalars())}


def issue(db: Connection, bin_id: str, version: int, now_ms: int) -> None:
    """Note that the bin is given a version, in the transaction that is durable before the answer leaves."""
    db.execute(insert(schema.tariff_issues).values(bin_id=bin_id, version=version, issued_ms=now_ms))
