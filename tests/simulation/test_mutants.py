"""The simulation catches what it is there for: each mistake, planted on purpose, within the seeds of CI."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.run import run

SEEDS = 500
"""As many as CI runs: a mutant that lives through them would have been merged."""


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, record_property: pytest.RecordProperty) -> None:
    for seed in range(1, SEEDS):
        with planted(name):
            report = run(seed)
        if report.broken:
            record_property("seeds", seed)
            print(f"{name}: caught by seed {seed}: {report.broken}")  # noqa: T201
            return
    pytest.fail(f"{name} lived through {SEEDS} seeds")
