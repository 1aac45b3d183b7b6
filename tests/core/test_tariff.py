from __future__ import annotations

from kiosk.core.tariff import CapClock, price, used_points
from sync.records import CappedCredit, Tariff, TariffItem
from tests.core.playbook import TARIFF

DAY_MS = 24 * 3600 * 1000


def test_a_price_names_code_points_and_version() -> None:
    priced = price(TARIFF, "AA", 2, used=0, cap_points=100)
    assert priced is not None
    assert (priced.item_code, priced.points, priced.tariff_version, priced.over_cap) == ("B-AA", 20, 7, False)


def test_the_last_point_of_the_cap_is_paid_and_the_next_is_not() -> None:
    fits, over = (price(TARIFF, "AA", 1, used=used, cap_points=100) for used in (90, 91))
    assert fits is not None
    assert not fits.over_cap
    assert over is not None
    assert over.over_cap


def test_a_class_without_a_line_is_paid_as_other_or_not_at_all() -> None:
    assert price(TARIFF, "D", 1, used=0, cap_points=100) is None
    other = Tariff(version=8, items={"other": TariffItem(item_code="B-X", points=1)})
    priced = price(other, "D", 1, used=0, cap_points=100)
    assert priced is not None
    assert (priced.item_code, priced.points) == ("B-X", 1)


def test_used_points_are_the_holders_own_inside_the_window() -> None:
    credits = tuple(
        CappedCredit(ref=ref, cap_ms=cap_ms, points=points)
        for ref, cap_ms, points in (("a", 0, 1), ("a", 1, 2), ("b", 50, 4), ("a", 100, 8))
    )
    assert used_points(credits, "a", cap_now_ms=DAY_MS, window_ms=DAY_MS) == 10


def test_the_cap_clock_runs_with_uptime_and_only_a_server_ahead_moves_it() -> None:
    clock = CapClock(cap_ms=1_000, mono_ms=50)
    assert clock.now(150) == 1_100
    assert clock.told(5_000, 150).now(160) == 5_010
    assert clock.told(3, 150).now(160) == 1_110
