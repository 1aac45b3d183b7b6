"""``kiosk demo --headless``, whole: three processes, a verdict, an exit code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

KIOSK = [sys.executable, "-m", "kiosk.cli", "demo", "--headless", "--json"]
WAIT_S = 120


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([*KIOSK, *arguments], capture_output=True, text=True, timeout=WAIT_S)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_six_deposits_and_two_power_cuts_lose_and_double_nothing():
    code, report = run("--deposits", "6", "--cuts", "2", "--seed", "3")
    assert report["problems"] == []
    assert code == 0
    assert (report["accepted"], report["credited"], report["power_cuts"]) == (6, 6, 2)
    assert (report["lost"], report["duplicates"], report["shown_before_durable"]) == (0, 0, 0)
    assert (report["pending"], report["held"]) == (0, 0)
    assert report["fell"] >= 6
    assert 0 < report["seconds_per_battery"]["mechanical_share"] < 1
    assert report["latency_ms"]["last_evidence_to_credited"]["samples"] >= 4
    assert report["latency_ms"]["card_to_screen"]["samples"] >= 1


def test_a_journal_that_drops_one_payment_and_doubles_another_is_found_out(tmp_path):
    database = tmp_path / "points.db"
    main = "from sync.points_server.cli import main; main()"
    subprocess.run([sys.executable, "-c", main, "--database", str(database), "init"], check=True, timeout=WAIT_S)
    tamper(database)
    code, report = run("--deposits", "3", "--cuts", "0", "--dir", str(tmp_path))
    assert code == 1
    assert (report["lost"], report["duplicates"]) == (1, 1)
    assert report["accepted"] == 3
    assert len(report["problems"]) == 2


def tamper(database: Path) -> None:
    """From now on the second deposit's payment vanishes and the third one's comes twice."""
    with sqlite3.connect(database) as db:
        db.executescript("""
            CREATE TABLE paid (item_id TEXT PRIMARY KEY);
            CREATE TRIGGER tamper AFTER INSERT ON journal WHEN NEW.account != 'programme' AND NEW.branch != 'again'
            BEGIN
                INSERT INTO paid VALUES (NEW.item_id);
                DELETE FROM journal WHERE id = NEW.id AND (SELECT count(*) FROM paid) = 2;
                INSERT INTO journal (bin_id, generation, seq, branch, item_id, account, points, posted_ms)
                    SELECT NEW.bin_id, NEW.generation, NEW.seq, 'again', NEW.item_id, NEW.account, NEW.points, 0
                    WHERE (SELECT count(*) FROM paid) = 3;
            END;
        """)
    db.close()
