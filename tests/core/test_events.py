from __future__ import annotations

from dataclasses import replace

from tests.core.playbook import GOOD


def test_the_beams_are_clear_only_when_both_are() -> None:
    assert GOOD.beams_clear
    assert not replace(GOOD, beam_a_blocked=True).beams_clear
    assert not replace(GOOD, beam_b_blocked=True).beams_clear
