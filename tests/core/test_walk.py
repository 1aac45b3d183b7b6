"""Seeded random walks through everything that can happen, in virtual time."""

from __future__ import annotations

from collections import Counter

import pytest

from sync.records import Deposit, Refusal, TipConfirmed, TipFailed
from tests.core.walk import Walk

SEEDS_EACH = 50
STEPS = 80


def ends(walk: Walk) -> Counter[str]:
    return Counter(body.item_id for body in walk.ledger if isinstance(body, TipConfirmed | TipFailed))


@pytest.mark.parametrize("block", range(40))
def test_no_walk_breaks_a_promise_and_every_bin_finds_home_when_the_world_is_good_again(block: int) -> None:
    for seed in range(block * SEEDS_EACH, (block + 1) * SEEDS_EACH):
        walk = Walk(seed)
        try:
            for _ in range(STEPS):
                walk.step()
            walk.heal()
            deposits = [body.item_id for body in walk.ledger if isinstance(body, Deposit)]
            refused = [body.item_id for body in walk.ledger if isinstance(body, Refusal)]
            assert len(set(deposits)) == len(deposits), "one item, two deposits"
            assert not set(deposits) & set(refused), "credited and refused"
            assert ends(walk) == Counter(deposits), "every deposit ends once"
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


def test_the_walks_visit_everything() -> None:
    done = Counter[str]()
    for seed in range(100):
        walk = Walk(seed)
        for _ in range(STEPS):
            walk.step()
        done += walk.done
    visited = (
        "Recovering Idle Accepting Closing Weighing Committing Tipping Stopped shown crash "
        "TipConfirmed TipFailed OrphanCleared StorageFailed InputsLost HazardClearRequested"
    )
    assert not [name for name in visited.split() if not done[name]]
