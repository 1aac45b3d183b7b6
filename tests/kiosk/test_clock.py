"""Wall time is passed on only while it is trusted; every jump of it leaves an anchor."""

from pathlib import Path

from kiosk.clock import Anchors, Clock
from sync.records import Stamp, TimeAnchor


def stamp(mono_ms: int, wall_ms: int | None) -> Stamp:
    return Stamp(boot_id="b", mono_ms=mono_ms, wall_ms=wall_ms, clock="unsure" if wall_ms is None else "trusted")


def test_wall_time_is_null_until_it_is_synchronised(tmp_path: Path) -> None:
    synchronized = tmp_path / "synchronized"
    clock = Clock(synchronized)
    before = clock.stamp()
    synchronized.touch()
    after = clock.stamp()
    assert (before.wall_ms, before.clock) == (None, "unsure")
    assert after.wall_ms is not None
    assert after.clock == "trusted"
    assert before.boot_id == after.boot_id
    assert after.mono_ms >= before.mono_ms


def test_an_anchor_is_due_when_trust_arrives_and_at_every_step() -> None:
    anchors = Anchors()
    assert anchors.due(stamp(0, None)) is None
    assert anchors.due(stamp(10, 1_000_010)) == TimeAnchor(mono_ms=10, wall_ms=1_000_010, step_ms=None)
    assert anchors.due(stamp(20, 1_000_020)) is None
    assert anchors.due(stamp(30, 1_002_030)) is None, "2 s are drift"
    assert anchors.due(stamp(40, 1_002_041)) == TimeAnchor(mono_ms=40, wall_ms=1_002_041, step_ms=2_001)
    years_back = anchors.due(stamp(50, 41))
    assert years_back is not None
    assert years_back.step_ms == -1_002_010


def test_slow_drift_is_never_a_step() -> None:
    anchors = Anchors()
    anchors.due(stamp(0, 1_000_000))
    assert anchors.due(stamp(10, 1_001_910)) is None
    assert anchors.due(stamp(20, 1_002_020)) is None


def test_trust_that_was_lost_and_returns_is_anchored_again() -> None:
    anchors = Anchors()
    anchors.due(stamp(0, 1_000_000))
    anchors.due(stamp(1, None))
    assert anchors.due(stamp(2, 1_000_002)) == TimeAnchor(mono_ms=2, wall_ms=1_000_002, step_ms=None)
