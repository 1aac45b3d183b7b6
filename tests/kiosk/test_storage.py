"""Storage that is full, read-only, locked, slow or damaged: closed with a plain reason, back when it is mended."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kiosk.rig import WAIT_S, Rig, wait_for, whole_bin

BROKEN = str(Path(__file__).with_name("broken_daemon.py"))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with whole_bin(tmp_path) as rig:
        yield rig


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Rig]:
    """A bin whose state lies on a file system of 6 MiB, 1 MiB of it kept in reserve."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    with whole_bin(tmp_path) as rig:
        rig.end("daemon")
        kept = {path.name: path.read_bytes() for path in (tmp_path / "state").iterdir()}
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", tmp_path / "state"], check=True)
        try:
            for name, content in kept.items():
                (tmp_path / "state" / name).write_bytes(content)
            rig.start_daemon()
            rig.wait_open()
            yield rig
        finally:
            rig.close()
            subprocess.run(["umount", tmp_path / "state"], check=True)


def remount(rig: Rig, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", rig.folder / "state"], check=True)


def fill(rig: Rig, *, leave_bytes: int = 0) -> Path:
    medium = os.statvfs(rig.folder / "state")
    filler = rig.folder / "state" / "filler"
    with filler.open("wb") as file:
        left = medium.f_bavail * medium.f_frsize - leave_bytes
        while left > 0:
            try:
                left -= os.write(file.fileno(), bytes(min(left, 4096)))
            except OSError:
                break
    return filler


def watchdogs(manager: socket.socket, count: int) -> None:
    for _ in range(count):
        assert manager.recv(100) == b"WATCHDOG=1"


def credited_once(rig: Rig, count: int) -> None:
    wait_for(lambda: len(rig.credited()) == count, f"{count} credits at the server")
    assert all(len(postings) == 1 for postings in rig.credited().values())
    assert {item: [points] for item, points in rig.screen.credits().items()} == rig.credited()


def test_a_nearly_full_disk_closes_the_bin_and_a_freed_one_opens_it(small_disk: Rig) -> None:
    rig = small_disk
    filler = fill(rig, leave_bytes=512 * 1024)
    status = rig.wait_status("the trouble", lambda status: status["storage"] is not None)
    assert status["closed_because"] == "storage"
    assert "free space on its disk" in status["storage"]
    rig.deposit("aa")
    wait_for(lambda: rig.screen.views[-1]["reason"] == "storage", "the reason on the screen")
    assert rig.world("state")["snapshot"]["flap"]["locked"], "no battery is taken that could not be recorded"
    filler.unlink()
    rig.wait_open()
    rig.deposit("aa")
    credited_once(rig, 1)


def test_a_disk_that_fills_under_a_falling_battery_shows_nothing_until_it_is_recorded(small_disk: Rig) -> None:
    rig = small_disk
    rig.world("tap", card="0")
    rig.wait_status("the session", lambda status: status["phase"] == "accepting")
    filler = fill(rig)
    rig.world("drop", kind="aa")
    status = rig.wait_status("the trouble", lambda status: status["storage"] is not None)
    assert len(rig.screen.credits()) <= status["deposits"]["accepted"], "shown before it was recorded"
    filler.unlink()
    rig.wait_open()
    falls = [fall for fall in rig.world("truth")["falls"] if fall["t_ns"] is not None]
    credited_once(rig, len(falls))


def test_a_read_only_file_system_closes_the_bin_until_it_is_writable(small_disk: Rig) -> None:
    rig = small_disk
    rig.end("daemon")
    remount(rig, "ro")
    rig.start_daemon()
    status = rig.wait_status("the trouble", lambda status: status["storage"] is not None)
    assert not status["open"]
    assert "read-only" in status["storage"]
    remount(rig, "rw")
    rig.wait_open()
    rig.deposit("aa")
    credited_once(rig, 1)


def test_a_ledger_that_another_program_locks_is_waited_for(rig: Rig) -> None:
    rig.end("daemon")
    other = sqlite3.connect(rig.folder / "state" / "ledger.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    rig.start_daemon()
    status = rig.wait_status("the trouble", lambda status: status["storage"] is not None)
    assert not status["open"]
    assert "locked" in status["storage"]
    other.close()
    rig.wait_open()


def test_a_damaged_ledger_is_set_aside_whole_and_a_technician_begins_a_new_generation(rig: Rig) -> None:
    rig.deposit("aa")
    credited_once(rig, 1)
    rig.end("daemon")
    path = rig.folder / "state" / "ledger.sqlite"
    damaged = b"not a database" + path.read_bytes()[14:]
    path.write_bytes(damaged)
    rig.start_daemon()
    status = rig.wait_status("the trouble", lambda status: status["storage"] is not None)
    assert status["closed_because"] == "ledger_damaged"
    assert "kiosk ledger renew" in status["storage"] or "set it aside" in status["storage"]
    rig.kiosk("ledger", "renew", "--yes", code=3)
    rig.end("daemon")
    said = rig.kiosk("ledger", "renew", "--yes")
    aside = Path(said.split("set aside in ")[1].split(";")[0])
    assert (aside / "ledger.sqlite").read_bytes() == damaged
    rig.start_daemon()
    rig.wait_open()
    rig.deposit("aa", card="1")
    credited_once(rig, 2)
    assert '"reason": "damaged"' in rig.kiosk("ledger", "list", "--kind", "generation_started", "--json")


def test_a_card_that_stalls_for_three_seconds_delays_no_lock_and_withholds_no_watchdog(rig: Rig) -> None:
    rig.end("daemon")
    name = f"\0kiosk-stall-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(4)  # WatchdogSec is 20; a gap of 4 s would already show that something waits
        rig.start_daemon(
            BROKEN, "stall=3", "run", "--config", str(rig.config), env={"NOTIFY_SOCKET": name.replace("\0", "@")}
        )
        manager.settimeout(WAIT_S)
        while manager.recv(100) != b"READY=1":
            pass
        manager.settimeout(4)
        rig.wait_open()
        rig.deposit("aa")
        rig.wait_status("the commit", lambda status: status["phase"] == "committing")
        rig.world("door", open=True)
        rig.wait_status("the door, while the commit stalls", lambda s: s["closed_because"] == "door_open")
        assert rig.status()["phase"] == "committing"  # type: ignore[index]
        rig.wait_status("the end of the stall", lambda status: status["phase"] != "committing")
        for _ in range(5):
            assert manager.recv(100) == b"WATCHDOG=1"
        rig.world("door", open=False)
    rig.wait_open()
    wait_for(lambda: '"reason": "door"' in rig.kiosk("ledger", "list", "--kind", "tip_failed", "--json"), "its record")
    wait_for(lambda: len(rig.credited()) == 1, "the credit, which stands")


def test_a_stuck_storage_withholds_the_watchdog(rig: Rig) -> None:
    """A COMMIT that never returns; what counts as stuck is a second here instead of ten."""
    rig.end("daemon")
    name = f"\0kiosk-stuck-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(WAIT_S)
        env = {"NOTIFY_SOCKET": name.replace("\0", "@")}
        rig.start_daemon(BROKEN, "stuck", "run", "--config", str(rig.config), env=env)
        assert manager.recv(100) == b"READY=1"
        manager.settimeout(4)
        with pytest.raises(TimeoutError):
            watchdogs(manager, 10)
        rig.end("daemon", signal.SIGKILL)


def test_a_stuck_loop_withholds_the_watchdog(rig: Rig) -> None:
    rig.end("daemon")
    name = f"\0kiosk-stick-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(WAIT_S)
        rig.start_daemon(
            BROKEN, "stick", "run", "--config", str(rig.config), env={"NOTIFY_SOCKET": name.replace("\0", "@")}
        )
        heard = [manager.recv(100) for _ in range(4)]
        assert heard == [b"READY=1"] + 3 * [b"WATCHDOG=1"]
        manager.settimeout(4)
        with pytest.raises(TimeoutError):
            manager.recv(100)
        rig.end("daemon", signal.SIGKILL)
