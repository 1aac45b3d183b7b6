"""500 seeds of the whole system: nothing shown is lost, doubled, early or stuck, and every fault has struck."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.__main__ import story_of
from tests.simulation.faults import ALL
from tests.simulation.run import run

SEEDS = 500
CHUNK = 10
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tallies(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Where all workers of this run count the faults of their seeds."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "faults-of-the-simulation"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_every_promise_holds_through_every_fault(start: int, tallies: Path) -> None:
    reports = [run(seed) for seed in range(start, start + CHUNK)]
    assert not [story_of(report) for report in reports if report.broken]
    fired = sum((report.fired for report in reports), Counter[str]())
    draft = tallies / f".{start}"
    draft.write_text("".join(f"{name}\n" for name in fired))
    draft.rename(tallies / str(start))
    # Whichever chunk is the last to end sees them all.
    done = [file for file in tallies.iterdir() if not file.name.startswith(".")]
    if len(done) == SEEDS // CHUNK:
        struck = {name for file in done for name in file.read_text().splitlines()}
        assert [name for name in ALL if name not in struck] == []


@pytest.mark.parametrize("seed", [1, 5])
def test_the_same_seed_is_the_same_run(seed: int) -> None:
    first, again = run(seed), run(seed)
    assert (first.digest, first.fired) == (again.digest, again.fired)


def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    script = "from tests.simulation.run import run; print(run(7).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == run(7).digest
    assert re.fullmatch("[0-9a-f]{16}", run(7).digest)


def test_a_bin_without_faults_credits_every_honest_fall() -> None:
    report = run(0)
    assert report.broken is None
    assert report.credits > 5
