"""One process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sync.ledger.errors import LedgerInUse, LedgerUnavailable
from sync.ledger.lock import LedgerLock
from tests.sync.ledger.making import open_ledger


def test_a_second_opener_is_told_who_holds_the_ledger(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    program = (
        "import sys; from pathlib import Path; from tests.sync.ledger.making import open_ledger\n"
        "from sync.ledger.errors import LedgerInUse\n"
        "try: open_ledger(Path(sys.argv[1]))\n"
        "except LedgerInUse as error: print(error)"
    )
    root = Path(__file__).resolve().parents[3]
    second = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert f"is held by process {os.getpid()}; stop it" in second.stdout
    with pytest.raises(LedgerInUse):
        open_ledger(tmp_path)
    ledger.close()
    ledger.close()
    open_ledger(tmp_path).close()


def test_a_lock_held_by_the_caller_outlives_the_ledger(tmp_path: Path) -> None:
    lock = LedgerLock(tmp_path / "ledger.db")
    for _ in range(2):
        open_ledger(tmp_path, lock=lock).close()
        with pytest.raises(LedgerInUse):
            open_ledger(tmp_path)
    lock.release()
    lock.release()
    open_ledger(tmp_path).close()


def test_a_failed_opening_lets_go_of_its_lock_and_keeps_the_callers(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"garbage" * 1000)
    for _ in range(2):
        with pytest.raises(ValueError, match="not a database"):
            open_ledger(tmp_path)
    lock = LedgerLock(tmp_path / "ledger.db")
    with pytest.raises(ValueError, match="not a database"):
        open_ledger(tmp_path, lock=lock)
    with pytest.raises(LedgerInUse):
        LedgerLock(tmp_path / "ledger.db")
    lock.release()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from sync.ledger.lock import LedgerLock\n"
        "LedgerLock(Path(sys.argv[1]) / 'ledger.db'); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[3]
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    assert died.returncode == -9
    LedgerLock(tmp_path / "ledger.db").release()
    assert (tmp_path / "ledger.db.lock").read_text() == f"{os.getpid()}\n"


def test_an_empty_lock_file_that_is_held_names_an_unknown_process(tmp_path: Path) -> None:
    lock = LedgerLock(tmp_path / "ledger.db")
    (tmp_path / "ledger.db.lock").write_text("")
    with pytest.raises(LedgerInUse, match="held by process unknown"):
        LedgerLock(tmp_path / "ledger.db")
    lock.release()


def test_a_lock_that_may_only_be_read_is_taken_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LedgerLock(tmp_path / "ledger.db").release()
    real = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr("sync.ledger.lock.os.open", refusing)
    lock = LedgerLock(tmp_path / "ledger.db")
    with pytest.raises(LedgerInUse):
        LedgerLock(tmp_path / "ledger.db")
    lock.release()


def test_a_lock_file_that_cannot_be_made_names_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match=r"cannot be made \(No such file or directory\); check that its folder"):
        LedgerLock(tmp_path / "absent" / "ledger.db")
