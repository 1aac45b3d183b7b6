"""Verdict and caps to points, item code and tariff version."""

from __future__ import annotations

from dataclasses import dataclass

from sync.records import CappedCredit, Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a deposit is worth; ``over_cap`` when the holder's cap leaves no room for the whole of it."""

    item_code: str
    points: int
    tariff_version: int
    over_cap: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CapClock:
    """The clock of the cap windows: the greater of summed uptime and server-signed time, never the wall clock.

    Setting the wall clock forward must not open a new day, nor backward close one for ever.
    """

    cap_ms: int
    mono_ms: int

    def now(self, mono_ms: int) -> int:
        return self.cap_ms + mono_ms - self.mono_ms

    def told(self, server_wall_ms: int, mono_ms: int) -> CapClock:
        return CapClock(cap_ms=max(self.now(mono_ms), server_wall_ms), mono_ms=mono_ms)


def used_points(credits: tuple[CappedCredit, ...], ref: str, *, cap_now_ms: int, window_ms: int) -> int:
    """Points that the holder was credited within the window that ends now."""
    return sum(credit.points for credit in credits if credit.ref == ref and credit.cap_ms > cap_now_ms - window_ms)


def price(tariff: Tariff, battery_class: str, count: int, *, used: int, cap_points: int) -> Price | None:
    """Price of ``count`` cells of a class; None when the tariff pays nothing for such a thing."""
    item = tariff.item_for(battery_class)
    if item is None:
        return None
    points = item.points * count
    return Price(
        item_code=item.item_code, points=points, tariff_version=tariff.version, over_cap=used + points > cap_points
    )
