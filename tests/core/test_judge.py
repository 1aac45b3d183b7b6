from __future__ import annotations

from typing import Any

import pytest

from kiosk.core.judge import ALL_RULES, PASSAGES_MAX, RULES, extents_um, judge, pulses, way_of
from sync.records import Evidence, decode_evidence, encode_evidence
from tests.core.playbook import (
    AA_EDGES,
    AA_MG,
    COIN_EDGES,
    HAND_EDGES,
    PROBE_EDGES,
    STRING_EDGES,
    UP_EDGES,
    later_by,
    passage,
)

TWO_AA = (*AA_EDGES, *later_by(AA_EDGES, 80_000))
OVERLAPPING_AA = tuple(sorted((*AA_EDGES, *later_by(AA_EDGES, 30_000)), key=lambda edge: edge[2]))


def evidence(*edges: Any, mass_mg: int | None = AA_MG) -> Evidence:
    return Evidence(
        rules=RULES.version, passages=tuple(passage(each) for each in edges), tare_mg=0, masses=(), mass_mg=mass_mg
    )


def verdict(*edges: Any, mass_mg: int | None = AA_MG) -> tuple[str, str | None, int]:
    found = judge(evidence(*edges, mass_mg=mass_mg))
    return found.code, found.battery_class, found.count


@pytest.mark.parametrize(
    ("edges", "way"),
    [
        (AA_EDGES, "fell"),
        (COIN_EDGES, "fell"),
        (TWO_AA, "fell"),
        (OVERLAPPING_AA, "fell"),
        (UP_EDGES, "retracted"),
        (STRING_EDGES, "retracted"),
        ((("b", True, 0), ("b", False, 5_000)), "retracted"),
        (HAND_EDGES, "hand"),
        (
            (
                ("a", True, 0),
                ("b", True, 100),
                ("b", False, 300),
                ("b", True, 400),
                ("a", False, 450),
                ("b", False, 500),
            ),
            "hand",
        ),
        (
            (("a", True, 0), ("a", False, 9), ("b", True, 20), ("b", False, 30), ("a", True, 15), ("a", False, 16)),
            "hand",
        ),
        (PROBE_EDGES, "nothing"),
        ((), "nothing"),
    ],
)
def test_a_fall_is_a_down_before_b_down_and_last_up_on_b(edges: Any, way: str) -> None:
    assert way_of(passage(edges)) == way


def test_a_second_blocking_that_overtakes_on_b_is_a_hand() -> None:
    edges = (
        *(("a", True, 0), ("b", True, 20_000), ("b", False, 30_000), ("a", False, 35_000)),
        *(("a", True, 50_000), ("b", True, 60_000), ("a", False, 65_000), ("b", False, 90_000)),
    )
    assert way_of(passage(edges)) == "hand"


def test_an_edge_that_lost_its_partner_is_no_blocking() -> None:
    lonely = (("b", False, 1), ("b", True, 2), ("b", False, 3), ("b", True, 4), ("metal", True, 5))
    assert [(pulse.down_us, pulse.up_us) for pulse in pulses(passage(lonely), "b")] == [(2, 3)]


def test_the_length_comes_from_the_beams_own_timing() -> None:
    assert [round(length / 1000) for length in extents_um(passage(AA_EDGES))] == [51]
    assert [round(length / 1000) for length in extents_um(passage(COIN_EDGES))] == [3]


@pytest.mark.parametrize(
    ("edges", "mass_mg", "expected"),
    [
        ((AA_EDGES,), AA_MG, ("accepted", "AA", 1)),
        ((TWO_AA,), 2 * AA_MG, ("accepted", "AA", 2)),
        ((AA_EDGES, AA_EDGES), 2 * AA_MG, ("accepted", "AA", 2)),
        ((AA_EDGES, PROBE_EDGES), AA_MG, ("accepted", "AA", 1)),
        ((COIN_EDGES,), 3_000, ("accepted", "coin", 1)),
        ((STRING_EDGES,), AA_MG, ("retracted", None, 0)),
        ((AA_EDGES, UP_EDGES), 0, ("retracted", None, 0)),
        ((AA_EDGES, HAND_EDGES), AA_MG, ("hand", None, 0)),
        ((HAND_EDGES, UP_EDGES), AA_MG, ("retracted", None, 0)),
        ((PROBE_EDGES,), AA_MG, ("unclear", None, 0)),
        ((AA_EDGES,), None, ("unweighed", None, 0)),
        ((AA_EDGES,), 999, ("too_light", None, 0)),
        ((AA_EDGES,), -AA_MG, ("too_light", None, 0)),
        ((AA_EDGES,), 250_000, ("not_a_battery", None, 0)),
        ((COIN_EDGES,), AA_MG, ("not_a_battery", None, 0)),
        ((AA_EDGES, COIN_EDGES), AA_MG + 3_000, ("mixed", None, 0)),
    ],
)
def test_only_a_battery_that_fell_and_weighs_like_one_is_accepted(
    edges: Any, mass_mg: int | None, expected: tuple[str, str | None, int]
) -> None:
    assert verdict(*edges, mass_mg=mass_mg) == expected


def test_one_battery_dropped_with_an_empty_second_fall_is_not_two() -> None:
    assert verdict(AA_EDGES, AA_EDGES, mass_mg=AA_MG)[0] == "mixed"


def test_evidence_that_is_full_may_lack_the_passage_that_tells_and_is_refused() -> None:
    fits = [AA_EDGES] * (PASSAGES_MAX - 1)
    assert verdict(*fits, mass_mg=len(fits) * AA_MG)[0] == "accepted"
    assert verdict(*fits, AA_EDGES, mass_mg=PASSAGES_MAX * AA_MG)[0] == "unclear"


def test_kept_evidence_replays_to_the_same_verdict() -> None:
    kept = evidence(TWO_AA, mass_mg=2 * AA_MG)
    again = decode_evidence(encode_evidence(kept))
    assert judge(again, ALL_RULES[again.rules]) == judge(kept)
    assert judge(kept).accepted
