"""What the medium can do to a ledger: each time a plain reason, and back when the cause is gone."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sync.ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from sync.ledger.file import PAGE_BYTES, WAL_PAGES, explained, lay_out_log
from sync.ledger.ledger import Ledger
from sync.records import Tariff
from tests.sync.ledger.making import GARBAGE, acknowledging, deposit, flaky, open_ledger, service, stamp
from tests.sync.ledger.test_generations import FILES, put_back, snapshot


@pytest.mark.parametrize("took_effect", [False, True])
def test_after_a_failed_commit_nothing_is_written_until_the_ledger_is_opened_anew(
    tmp_path: Path, took_effect: bool
) -> None:
    connection = flaky()
    connect = partial(sqlite3.connect, factory=connection)
    ledger = open_ledger(tmp_path, connect=connect)
    connection.fail_at, connection.took_effect = "COMMIT", took_effect
    entries = [deposit("i1"), service(4)]
    position = ledger.position
    with pytest.raises(LedgerUnavailable, match=r"reading or writing fails; check the card"):
        ledger.append(entries)
    with pytest.raises(AssertionError, match="opened anew"):
        ledger.append(entries)
    with pytest.raises(AssertionError, match="opened anew"):
        ledger.begin_generation("fork", stamp(), instead_of=ledger.head().generation)
    ledger.close()
    ledger = open_ledger(tmp_path, connect=connect)
    missing = ledger.missing(entries, after=position)
    assert missing == ([] if took_effect else entries)
    if missing:
        ledger.append(missing)
    assert [record.kind for record in ledger.records()] == ["generation_started", "deposit", "service_entered"]
    assert ledger.counts().accepted == 1
    assert ledger.verify() == []
    ledger.close()


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT INTO records", "INSERT INTO evidence"])
def test_a_write_that_fails_before_its_commit_leaves_nothing(tmp_path: Path, statement: str) -> None:
    connection = flaky()
    ledger = open_ledger(tmp_path, connect=partial(sqlite3.connect, factory=connection))
    connection.fail_at = statement
    with pytest.raises(LedgerUnavailable):
        ledger.append([service(1), deposit("i1")])
    ledger.close()
    ledger = open_ledger(tmp_path)
    assert ledger.missing([service(1), deposit("i1")], after=1) == [service(1), deposit("i1")]
    assert ledger.head().seq == 1
    ledger.close()


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("action", ["apply", "tariff", "fork", "tidy"])
def test_every_other_write_fails_alike(tmp_path: Path, action: str, took_effect: bool) -> None:
    connection = flaky()
    ledger = open_ledger(tmp_path, connect=partial(sqlite3.connect, factory=connection))
    records = [ledger.append([service(n)])[0] for n in range(100)]
    connection.fail_at, connection.took_effect = ("UPDATE" if action == "tidy" else "COMMIT"), took_effect
    actions: dict[str, Callable[[], object]] = {
        "apply": lambda: ledger.apply(acknowledging(records[0])),
        "tariff": lambda: ledger.store_tariff(Tariff(version=1, items={})),
        "fork": lambda: ledger.begin_generation("fork", stamp(), instead_of=ledger.head().generation),
        "tidy": ledger.tidy,
    }
    with pytest.raises(LedgerUnavailable):
        actions[action]()
    with pytest.raises(AssertionError):
        ledger.append([service(0)])
    ledger.close()
    ledger = open_ledger(tmp_path)
    assert ledger.verify() == []
    assert (ledger.cursor() is not None) == (action == "apply" and took_effect)
    assert (ledger.tariff() is not None) == (action == "tariff" and took_effect)
    assert len(ledger.records(kind="generation_started")) == 1 + (action == "fork" and took_effect)
    ledger.close()


def test_equal_entries_are_told_apart_by_how_often_they_were_written(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    position = ledger.position
    ledger.append([service(1)])
    assert ledger.missing([service(1), service(1)], after=position) == [service(1)]
    assert ledger.missing([service(1)], after=ledger.position) == [service(1)]
    ledger.close()


def test_a_full_database_is_a_genuine_disk_full_and_heals(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    pages = ledger._db.conn.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.conn.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerUnavailable, match="the disk is full; free space on it"):
        ledger.append([deposit(f"i{n}") for n in range(500)])
    ledger.close()
    ledger = open_ledger(tmp_path)
    assert ledger.missing([deposit("i0")], after=1) == [deposit("i0")]
    ledger.append([deposit("i0")])
    assert ledger.verify() == []
    ledger.close()


def test_a_database_locked_by_another_process_is_said_to_be_and_opens_when_it_is_let_go(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA locking_mode=EXCLUSIVE'); c.execute('BEGIN EXCLUSIVE'); print('held', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "ledger.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LedgerUnavailable, match="another program has locked it; close that program"):
            open_ledger(tmp_path)
        assert other.stdin
        other.stdin.close()
        other.wait()
    open_ledger(tmp_path).close()


def test_a_file_that_is_no_database_is_damaged_and_left_untouched(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(GARBAGE)
    with pytest.raises(LedgerDamaged, match=r"it is not a database.*set it aside whole with .kiosk ledger renew"):
        open_ledger(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == GARBAGE


def test_a_damaged_page_is_named_when_it_is_met(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit(f"i{n}") for n in range(200)])
    root = ledger._db.conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'").fetchone()[0]
    ledger.close()
    whole = (tmp_path / "ledger.db").read_bytes()
    with (tmp_path / "ledger.db").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)
    with pytest.raises(LedgerDamaged, match=r"its pages are damaged.*set it aside"):
        open_ledger(tmp_path)
    (tmp_path / "ledger.db").write_bytes(whole)
    ledger = open_ledger(tmp_path)
    assert ledger.counts().accepted == 200
    ledger.close()


def test_a_missing_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="check that its folder exists"):
        open_ledger(tmp_path / "absent")


def test_too_little_room_for_the_log_fails_the_opening_and_lets_the_lock_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("sync.ledger.opening.lay_out_log", full)
        with pytest.raises(LedgerUnavailable, match="No space left on device"):
            open_ledger(tmp_path)
    open_ledger(tmp_path).close()


def test_a_medium_that_is_nearly_full_is_reported_while_what_fell_is_still_recorded(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, free_bytes_min=2**60)
    with pytest.raises(LedgerUnavailable, match=r"kept in reserve; free space on its disk"):
        ledger.check_storage()
    ledger.append([deposit("i1")])
    ledger.close()
    ledger = open_ledger(tmp_path)
    ledger.check_storage()
    ledger.close()


def test_a_medium_that_turned_read_only_is_reported_before_a_commit_meets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Remounted:
        f_flag, f_bavail, f_frsize = os.ST_RDONLY, 10**6, 4096

    ledger = open_ledger(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("sync.ledger.file.os.statvfs", lambda _: Remounted)
        with pytest.raises(LedgerUnavailable, match="read-only; remount it writable"):
            ledger.check_storage()
    ledger.check_storage()
    ledger.close()


def test_a_medium_that_is_gone_is_reported(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    (tmp_path / "ledger.db").unlink()
    with pytest.raises(LedgerUnavailable, match="No such file"):
        ledger.check_storage()
    ledger.close()


def test_a_marker_that_cannot_be_written_in_an_idle_moment_or_at_the_end_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(tmp_path)
    for n in range(100):
        ledger.append([service(n)])

    def failing(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("sync.ledger.ledger.write_marker", failing)
        with pytest.raises(LedgerUnavailable, match="Input/output error"):
            ledger.tidy()
        ledger.close()
        again = open_ledger(tmp_path)
        again.close()
    ledger = open_ledger(tmp_path)
    assert ledger.head().seq == 101
    ledger.close()


@pytest.mark.parametrize("method", ["head", "cursor", "counts", "held", "opened", "batch", "tariff", "records"])
def test_every_question_names_a_failing_medium(tmp_path: Path, method: str) -> None:
    connection = flaky()
    ledger = open_ledger(tmp_path, connect=partial(sqlite3.connect, factory=connection))
    connection.fail_at = "SELECT"
    question: Any = getattr(super(Ledger, ledger), method)
    with pytest.raises(LedgerUnavailable, match="disk I/O error"):
        question(*([10, 10] if method == "batch" else []))
    ledger.close()


def test_an_error_that_sqlite_does_not_blame_on_the_medium_is_passed_on_as_such(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT * FROM absent")
    error = explained(caught.value, tmp_path / "ledger.db")
    assert type(error) is LedgerError
    assert "no such table: absent" in str(error)


# --- real file systems, in a mount namespace of their own -----------------------------------------------------------

IN_NAMESPACE = """
import os, subprocess, sys
from pathlib import Path
from sync.ledger.errors import LedgerUnavailable
from tests.sync.ledger.making import deposit, open_ledger
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=True)
"""

DISK_FULL = """
ledger = open_ledger(folder)
ballast = folder / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError as error:
        assert error.errno == 28
done, lost = 0, None
for n in range(20_000):
    try:
        ledger.append([deposit(f"i{n}")])
        done += 1
    except LedgerUnavailable as error:
        assert "the disk is full; free space on it" in str(error), error
        lost = deposit(f"i{n}")
        break
assert lost, "the disk never became full"
assert done > 20, done
ledger.close()
try:
    with ballast.open("ab", buffering=0) as file:
        while file.write(bytes(4096)): pass
except OSError: pass
try:
    open_ledger(folder)
except LedgerUnavailable as error:
    print("refused:", error)
else:
    raise AssertionError("opened without room")
ballast.unlink()
ledger = open_ledger(folder)
assert ledger.missing([lost], after=done + 1) == [lost]
ledger.append([lost])
assert ledger.counts().accepted == done + 1
assert ledger.verify() == []
print("whole")
"""

READ_ONLY = """
from sync.ledger.recovery import read_copy
def remount(how): subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
ledger = open_ledger(folder)
ledger.append([deposit("i1")])
ledger.check_storage()
ledger.close()
remount("ro")
try:
    open_ledger(folder)
except LedgerUnavailable as error:
    print("refused:", error)
else:
    raise AssertionError("opened read-only")
with read_copy(folder / "ledger.db") as copy:
    assert copy.find_item("i1")
remount("rw")
ledger = open_ledger(folder)
ledger.append([deposit("i2")])
assert ledger.counts().accepted == 2
ledger.close()
print("whole")
"""


def namespaces_work() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not namespaces_work(), reason="needs root and mount namespaces")
@pytest.mark.parametrize("scenario", [DISK_FULL, READ_ONLY], ids=["full", "read-only"])
def test_a_real_file_system_that_is_full_or_read_only(tmp_path: Path, scenario: str) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", IN_NAMESPACE + scenario, str(mount)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("whole\n")


def test_a_log_that_cannot_be_laid_out_whole_is_an_error_and_not_a_shorter_log(tmp_path: Path) -> None:
    (tmp_path / "ledger.db-wal").touch()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE_BYTES * 3, limits[1]))  # the kernel then writes short
    try:
        with pytest.raises(OSError, match="File too large"):
            lay_out_log(tmp_path / "ledger.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    lay_out_log(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db-wal").stat().st_size == WAL_PAGES * PAGE_BYTES


def test_a_log_that_could_not_be_emptied_is_never_laid_out_over_its_credits(tmp_path: Path) -> None:
    class Read(sqlite3.Connection):
        """As if somebody still read the log: the checkpoint says busy and does nothing."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return super().execute("SELECT 1, 9, 0" if "wal_checkpoint" in sql else sql, *parameters)

    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    crashed = snapshot(tmp_path, tmp_path / "crash")
    ledger.close()
    put_back(crashed, tmp_path, *FILES)
    with pytest.raises(LedgerUnavailable, match="another program reads it; close that program"):
        open_ledger(tmp_path, connect=partial(sqlite3.connect, factory=Read))
    ledger = open_ledger(tmp_path)
    assert ledger.find_item("i1") is not None
    ledger.close()
