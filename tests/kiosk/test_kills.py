"""50 SIGKILLs of the real daemon during deposits: what was shown is in the ledger and reaches the server once.

This proves process death only. Thirty of the kills come at the worst moment, between commit and screen event; the other
twenty at any time of a deposit, drawn by seed.
"""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.kiosk.rig import Rig, wait_for, whole_bin

BROKEN = str(Path(__file__).with_name("broken_daemon.py"))
KILLS = ("committed", "any time", "showing", "any time", "committed")


def killed_deposit(rig: Rig, how: str, chance: random.Random) -> None:
    """One resident, one battery, one death of the daemon somewhere on the way."""
    rig.deposit("aa")
    if how == "any time":
        time.sleep(chance.uniform(0.0, 2.0))  # the moment of the kill is the test's input, not a wait for anything
        rig.end("daemon", signal.SIGKILL)
    else:
        process = rig.processes.pop("daemon")
        assert process.wait(60) == -signal.SIGKILL, rig.log("daemon")[-2000:]


@pytest.mark.parametrize("seed", range(10))
def test_what_was_shown_before_a_kill_is_in_the_ledger_and_reaches_the_server_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    between_commit_and_screen = 0
    with whole_bin(tmp_path) as rig:
        for how in KILLS:
            rig.end("daemon")
            argv = ("-m", "kiosk.cli") if how == "any time" else (BROKEN, how)
            rig.start_daemon(*argv, "run", "--config", str(rig.config))
            rig.wait_open()
            shown_before = rig.screen.credits()
            killed_deposit(rig, how, chance)
            rig.start_daemon()
            rig.wait_open()
            accepted = rig.kiosk("ledger", "list", "--kind", "deposit", "--limit", "1", "--json")
            if how != "any time":
                item_id = accepted.split('"item_id": "')[1].split('"')[0]
                assert item_id not in shown_before
                assert item_id not in rig.screen.credits(), "killed too late: the credit had been shown"
                between_commit_and_screen += 1
        drained = rig.wait_status(
            "the drain", lambda s: s["deposits"]["accepted"] == s["deposits"]["acknowledged"] and s["server"]["online"]
        )
        wait_for(lambda: len(rig.credited()) == drained["deposits"]["accepted"], "every credit at the server")
        credited, shown = rig.credited(), rig.screen.credits()
        falls = [fall for fall in rig.world("truth")["falls"] if fall["t_ns"] is not None]
        assert all(len(postings) == 1 for postings in credited.values()), "doubled"
        assert {item: [points] for item, points in shown.items()}.items() <= credited.items(), "shown, then lost"
        assert len(credited) <= len(falls)
        assert between_commit_and_screen == 3
        assert "0 problems" in rig.kiosk("ledger", "verify")
