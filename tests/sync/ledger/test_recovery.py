"""Reading a copy, setting a damaged ledger aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sync.ledger.errors import LedgerDamaged, LedgerInUse, LedgerUnavailable
from sync.ledger.lock import LedgerLock
from sync.ledger.recovery import read_copy, set_aside
from tests.sync.ledger.making import GARBAGE, deposit, open_ledger
from tests.sync.ledger.test_generations import FILES, put_back, snapshot


def test_a_copy_shows_the_newest_credits_and_changes_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    with pytest.raises(LedgerInUse), read_copy(tmp_path / "ledger.db"):
        pass
    crashed = snapshot(tmp_path, tmp_path / "crash")
    ledger.close()
    put_back(crashed, tmp_path, *FILES)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    with read_copy(tmp_path / "ledger.db") as copy:
        assert copy.find_item("i1") is not None
        assert copy.opened().open_deposits == ("i1",)
        assert copy.batch(10, 10_000).records[-1].kind == "deposit"
        assert copy.head().seq == 2
        assert copy.verify() == []
        # A daemon may start while a technician still reads.
        LedgerLock(tmp_path / "ledger.db").release()
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before


def test_a_cleanly_closed_ledger_without_a_log_is_read_as_well(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    ledger.close()
    assert not (tmp_path / "ledger.db-wal").exists()
    with read_copy(tmp_path / "ledger.db") as copy:
        assert copy.counts().accepted == 1


def test_reading_what_is_absent_or_damaged_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerUnavailable, match="there is none; check the folder"), read_copy(path):
        pass
    path.write_bytes(GARBAGE)
    with pytest.raises(LedgerDamaged, match="not a database"), read_copy(path):
        pass

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("sync.ledger.recovery.shutil.copyfile", failing)
    with pytest.raises(LedgerUnavailable, match="Input/output error"), read_copy(path):
        pass
    LedgerLock(path).release()


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (PermissionError(13, "Permission denied"), "access is denied; use .* sudo"),
        (OSError(36, "Too long"), "Too long"),
    ],
)
def test_a_ledger_that_this_user_may_not_see_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: OSError, said: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise hidden

    with monkeypatch.context() as patched:
        patched.setattr("sync.ledger.recovery.Path.stat", failing)
        with pytest.raises(LedgerUnavailable, match=said), read_copy(tmp_path / "ledger.db"):
            pass
        with pytest.raises(LedgerUnavailable, match=said):
            set_aside(tmp_path / "ledger.db")


def test_setting_aside_moves_everything_and_a_second_time_into_another_folder(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    folders = []
    for _ in range(2):
        path.write_bytes(GARBAGE)
        folders.append(set_aside(path))
        assert not path.exists()
    assert [folder.name for folder in folders] == ["ledger.db.damaged-1", "ledger.db.damaged-2"]
    assert all((folder / "ledger.db").read_bytes() == GARBAGE for folder in folders)
    open_ledger(tmp_path).close()


def test_a_ledger_in_use_is_not_set_aside_except_by_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerUnavailable, match="there is none"):
        set_aside(path)
    path.write_bytes(GARBAGE)
    lock = LedgerLock(path)
    with pytest.raises(LedgerInUse):
        set_aside(path)
    set_aside(path, lock=lock)
    with pytest.raises(LedgerInUse):
        LedgerLock(path)
    lock.release()


def test_a_crash_while_setting_aside_leaves_log_and_database_together_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    crashed = snapshot(tmp_path, tmp_path / "crash")
    ledger.close()
    calls = [0]
    real_link, real_unlink = os.link, Path.unlink

    def dying(real):  # type: ignore[no-untyped-def]
        def call(*arguments: object, **options: object) -> object:
            calls[0] -= 1
            if calls[0] < 0:
                raise OSError(5, "Input/output error")
            return real(*arguments, **options)

        return call

    for allowed in range(4):  # two links, two unlinks
        for old in tmp_path.glob("ledger.db*"):
            if old.is_file():
                old.unlink()
        put_back(crashed, tmp_path, *FILES)
        calls[0] = allowed
        with monkeypatch.context() as patched:
            patched.setattr("sync.ledger.recovery.os.link", dying(real_link))
            patched.setattr(Path, "unlink", dying(real_unlink))
            with pytest.raises(LedgerUnavailable, match="Input/output error"):
                set_aside(tmp_path / "ledger.db")
        newest = max(tmp_path.glob("ledger.db.damaged-*"), key=lambda folder: int(folder.name.split("-")[-1]))
        places = [tmp_path, newest]
        assert any(
            all((place / name).exists() for name in ("ledger.db", "ledger.db-wal"))
            and (place / "ledger.db-wal").read_bytes() == (crashed / "ledger.db-wal").read_bytes()
            for place in places
        ), allowed
