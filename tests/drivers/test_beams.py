from __future__ import annotations

import random

from drivers.beams import DropBeams, Seen
from drivers.readings import Edge

MS = 1_000_000
T0 = 5_000 * MS
"""Some time after the machine's start."""


def edges(*script: tuple[str, bool, float]) -> list[Edge]:
    """(line, active, milliseconds after T0)."""
    return [Edge(line=line, active=active, t_ns=T0 + round(at_ms * MS)) for line, active, at_ms in script]


def after(beams: DropBeams, at_ms: float) -> Seen | None:
    return beams.poll(T0 + round(at_ms * MS))


def fed(*script: tuple[str, bool, float]) -> DropBeams:
    beams = DropBeams()
    for edge in edges(*script):
        beams.receive(edge)
    return beams


def test_a_fall_is_one_passage_told_once_both_beams_were_quiet() -> None:
    beams = fed(("a", True, 0), ("a", False, 24), ("b", True, 20), ("b", False, 41))
    assert after(beams, 41 + 59.999) is None
    assert after(beams, 41 + 60) == Seen(
        started_ns=T0, edges=(("a", True, 0), ("b", True, 20_000), ("a", False, 24_000), ("b", False, 41_000))
    )
    assert after(beams, 10_000) is None


def test_nothing_ends_while_a_beam_is_blocked() -> None:
    beams = fed(("a", True, 0), ("a", False, 20), ("b", True, 10))
    assert after(beams, 60_000) is None
    beams.receive(Edge(line="b", active=False, t_ns=T0 + 70_000 * MS))
    assert after(beams, 70_060) is not None


def test_a_passage_is_passing_until_it_was_quiet() -> None:
    beams = fed(("metal", True, -5))
    assert not beams.passing
    beams.receive(*edges(("a", True, 0)))
    assert beams.passing
    beams.receive(*edges(("a", False, 20)))
    assert beams.passing
    assert after(beams, 80) is not None
    assert not beams.passing


def test_two_falls_are_two_passages_even_if_nobody_polled_between() -> None:
    beams = fed(("a", True, 0), ("a", False, 2), ("a", True, 62), ("a", False, 64), ("b", True, 70), ("b", False, 72))
    first, second = after(beams, 1_000), after(beams, 1_000)
    assert first == Seen(started_ns=T0, edges=(("a", True, 0), ("a", False, 2_000)))
    assert second is not None
    assert second.started_ns == T0 + 62 * MS
    assert second.edges[-1] == ("b", False, 10_000)
    assert after(beams, 1_000) is None


def test_two_edges_within_the_quiet_time_are_one_passage() -> None:
    beams = fed(("a", True, 0), ("a", False, 2), ("b", True, 61.9), ("b", False, 64))
    seen = after(beams, 1_000)
    assert seen is not None
    assert len(seen.edges) == 4


def test_the_shortest_coin_cell_is_seen_and_a_shorter_pulse_is_noise() -> None:
    assert after(fed(("a", True, 0), ("a", False, 1.3)), 100) is not None
    assert after(fed(("a", True, 0), ("a", False, 0.5)), 100) is not None
    beams = fed(("a", True, 0), ("a", False, 0.499))
    assert not beams.passing
    assert after(beams, 100) is None


def test_noise_during_a_passage_neither_shows_nor_prolongs_it() -> None:
    beams = fed(
        ("a", True, 0), ("a", False, 20), ("a", True, 50), ("a", False, 50.1), ("b", True, 55), ("b", False, 55.2)
    )
    assert after(beams, 80) == Seen(started_ns=T0, edges=(("a", True, 0), ("a", False, 20_000)))


def test_a_beam_clear_for_less_than_a_pulse_stayed_blocked() -> None:
    beams = fed(("a", True, 0), ("a", False, 10), ("a", True, 10.2), ("a", False, 20))
    assert after(beams, 80) == Seen(started_ns=T0, edges=(("a", True, 0), ("a", False, 20_000)))


def test_repeated_levels_are_ignored() -> None:
    beams = fed(("b", False, -5), ("a", True, 0), ("a", True, 5), ("a", False, 20), ("a", False, 25))
    assert after(beams, 80) == Seen(started_ns=T0, edges=(("a", True, 0), ("a", False, 20_000)))


def test_metal_from_shortly_before_the_passage_rides_along() -> None:
    beams = fed(
        ("metal", True, -50.001),
        ("metal", False, -50),
        ("metal", True, -10),
        ("a", True, 0),
        ("metal", False, 5),
        ("a", False, 20),
    )
    beams.receive(*edges(("metal", True, 80)))
    assert after(beams, 100) == Seen(
        started_ns=T0,
        edges=(
            ("metal", False, -50_000),
            ("metal", True, -10_000),
            ("a", True, 0),
            ("metal", False, 5_000),
            ("a", False, 20_000),
        ),
    )


def test_metal_alone_is_no_passage() -> None:
    assert after(fed(("metal", True, 0), ("metal", False, 20)), 1_000) is None


def test_edges_that_arrive_out_of_order_are_told_in_order_of_time() -> None:
    beams = fed(("b", True, 20), ("a", True, 0), ("a", False, 24), ("b", False, 41))
    seen = after(beams, 200)
    assert seen is not None
    assert seen.started_ns == T0
    assert [line for line, _, _ in seen.edges] == ["a", "b", "a", "b"]


def test_a_waving_hand_is_one_bounded_passage_that_ends_with_the_hand() -> None:
    beams = DropBeams(edges_max=8)
    for at_ms in range(0, 4_000, 40):
        for edge in edges(("a", True, at_ms), ("a", False, at_ms + 20)):
            beams.receive(edge)
        assert after(beams, at_ms + 30) is None
    beams.receive(*edges(("b", True, 4_000)))
    assert after(beams, 9_000) is None
    beams.receive(*edges(("b", False, 9_000)))
    seen = after(beams, 9_060)
    assert seen is not None
    assert len(seen.edges) == 8


def test_after_lost_edges_the_levels_are_believed() -> None:
    beams = fed(("a", True, 0), ("metal", True, 1), ("b", True, 5))
    beams.restart(a_blocked=False, b_blocked=True, now_ns=T0 + 1_000 * MS)
    assert beams.passing
    beams.receive(*edges(("b", False, 1_010)))
    assert after(beams, 1_100) == Seen(started_ns=T0 + 1_000 * MS, edges=(("b", True, 0), ("b", False, 10_000)))


def test_random_edges_never_raise_and_the_next_fall_is_whole() -> None:
    rng = random.Random(17)
    beams = DropBeams()
    at_ns = T0
    for _ in range(20_000):
        at_ns += rng.randrange(20 * MS)
        beams.receive(Edge(line=rng.choice(("a", "b", "metal")), active=rng.random() < 0.5, t_ns=at_ns))
        while (seen := beams.poll(at_ns)) is not None:
            assert 2 <= len(seen.edges) <= 64
        assert len(beams._pulses) <= 64
    for line in ("a", "b"):
        beams.receive(Edge(line=line, active=False, t_ns=at_ns + MS))
    while beams.poll(at_ns + 1_000 * MS):
        pass
    start_ns = at_ns + 2_000 * MS
    for line, active, at_ms in (("a", True, 0), ("b", True, 20), ("a", False, 24), ("b", False, 41)):
        beams.receive(Edge(line=line, active=active, t_ns=start_ns + at_ms * MS))
    seen = beams.poll(start_ns + 1_000 * MS)
    assert seen is not None
    assert [(line, active) for line, active, _ in seen.edges] == [("a", True), ("b", True), ("a", False), ("b", False)]
