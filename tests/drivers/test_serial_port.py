"""Real pseudo-terminals. Nothing here measures time: a test waits for what must come, and fails after DEADLINE_S."""

from __future__ import annotations

import fcntl
import os
import queue
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from pytest_mock import MockerFixture

from drivers.errors import DriverError, PortLost
from drivers.serial_port import SerialPort
from tests.drivers.waiting import DEADLINE_S, eventually


class FarEnd:
    """A pty whose near end has a path that can be unplugged, as a USB adapter's by-path link."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plug()

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def pull(self) -> None:
        self.path.unlink()
        os.close(self.master)


class Heard:
    """What a port said, in order; a hook may raise in the middle of it."""

    def __init__(self) -> None:
        self.said: queue.Queue[tuple[str, object]] = queue.Queue()
        self.hooks: dict[str, Callable[[], None]] = {}
        self.threads: set[str] = set()

    def say(self, what: str, detail: object = None) -> None:
        self.threads.add(threading.current_thread().name)
        self.said.put((what, detail))
        if what in self.hooks:
            self.hooks.pop(what)()

    def next(self) -> tuple[str, object]:
        return self.said.get(timeout=DEADLINE_S)

    def bytes(self, size: int) -> bytes:
        """The next bytes, however chunked; silences between them do not matter."""
        data = b""
        while len(data) < size:
            what, detail = self.next()
            if what == "bytes":
                assert isinstance(detail, bytes)
                data += detail
            else:
                assert what == "silence"
        return data

    def lost(self) -> str:
        """The next loss; whatever came before it does not matter."""
        while True:
            what, detail = self.next()
            if what == "lost":
                return str(detail)


@pytest.fixture
def far_end(tmp_path: Path) -> FarEnd:
    return FarEnd(tmp_path / "reader")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def open_port(heard: Heard) -> Iterator[Callable[..., SerialPort]]:
    ports: list[SerialPort] = []

    def start(path: Path, retry_ms: int = 20) -> SerialPort:
        port = SerialPort(
            str(path),
            baud=9600,
            bytesize=8,
            parity="N",
            silence_ms=30,
            on_bytes=lambda data: heard.say("bytes", data),
            on_silence=lambda: heard.say("silence"),
            on_lost=lambda reason: heard.say("lost", reason),
            on_returned=lambda: heard.say("returned"),
            retry_ms=retry_ms,
        )
        port.start()
        ports.append(port)
        return port

    yield start
    for port in ports:
        if port._thread.is_alive():
            port.close()


def test_bytes_arrive_whole_and_silence_follows_once(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort], mocker: MockerFixture
) -> None:
    checks = mocker.spy(os.path, "samestat")
    open_port(far_end.path)
    assert heard.next() == ("returned", None)
    everything = bytes(range(256))
    far_end.send(everything)
    assert heard.bytes(256) == everything
    assert heard.next() == ("silence", None)
    already = checks.call_count
    eventually(lambda: checks.call_count >= already + 2)
    far_end.send(b"\x02again\x03")
    # Nothing but the new bytes, however long it was quiet: the silence before them was told once.
    assert heard.next()[0] == "bytes"
    assert heard.threads == {f"serial {far_end.path}"}


@pytest.mark.parametrize("parity", ["N", "E", "O"])
@pytest.mark.parametrize("bytesize", [7, 8])
def test_every_framing_opens(far_end: FarEnd, heard: Heard, bytesize: int, parity: str) -> None:
    port = SerialPort(
        str(far_end.path),
        baud=2400,
        bytesize=bytesize,  # type: ignore[arg-type]
        parity=parity,  # type: ignore[arg-type]
        silence_ms=30,
        on_bytes=lambda data: heard.say("bytes", data),
        on_silence=lambda: None,
        on_lost=lambda reason: heard.say("lost", reason),
        on_returned=lambda: heard.say("returned"),
    )
    port.start()
    assert heard.next() == ("returned", None)
    far_end.send(b"ST")
    assert heard.bytes(2) == b"ST"
    port.close()


def test_unplugged_is_told_once_and_plugged_in_again_it_returns(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort]
) -> None:
    open_port(far_end.path)
    assert heard.next() == ("returned", None)
    for _ in range(3):
        far_end.pull()
        reason = heard.lost()
        assert str(far_end.path) in reason
        assert "trying again every 0.02 s" in reason
        far_end.plug()
        # Only "returned" may follow, after however many vain attempts.
        assert heard.next() == ("returned", None)
        far_end.send(b"back")
        assert heard.bytes(4) == b"back"


def test_a_path_that_was_never_there_is_a_loss_until_it_comes(
    tmp_path: Path, heard: Heard, open_port: Callable[..., SerialPort], mocker: MockerFixture
) -> None:
    path = tmp_path / "reader"
    attempts = mocker.spy(serial, "Serial")
    open_port(path)
    assert heard.next() == ("lost", f"{path}: gone (ENOENT); trying again every 0.02 s")
    eventually(lambda: attempts.call_count >= 3)
    far_end = FarEnd(path)
    assert heard.next() == ("returned", None)
    far_end.send(b"x")
    assert heard.bytes(1) == b"x"


def test_a_quiet_port_is_not_lost(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort], mocker: MockerFixture
) -> None:
    checks = mocker.spy(os.path, "samestat")
    open_port(far_end.path)
    assert heard.next() == ("returned", None)
    eventually(lambda: checks.call_count >= 3)
    far_end.send(b"x")
    assert heard.next() == ("bytes", b"x")


def test_a_link_that_vanished_is_a_loss_though_the_line_is_only_quiet(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort]
) -> None:
    open_port(far_end.path)
    assert heard.next() == ("returned", None)
    far_end.path.unlink()
    assert "gone (ENOENT)" in heard.lost()


def test_a_link_that_leads_elsewhere_is_followed(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort]
) -> None:
    open_port(far_end.path)
    assert heard.next() == ("returned", None)
    far_end.path.unlink()
    old_master = far_end.master
    far_end.plug()
    reason = heard.lost()
    assert "ENODEV" in reason or "ENOENT" in reason
    assert heard.next() == ("returned", None)
    far_end.send(b"new")
    assert heard.bytes(3) == b"new"
    os.close(old_master)


def test_a_port_in_use_is_a_loss_that_names_the_remedy(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort]
) -> None:
    other = os.open(far_end.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX)
    open_port(far_end.path)
    assert "in use by another program" in heard.lost()
    os.close(other)
    assert heard.next() == ("returned", None)


def test_a_file_that_is_no_port_is_a_loss(tmp_path: Path, heard: Heard, open_port: Callable[..., SerialPort]) -> None:
    path = tmp_path / "reader"
    path.write_text("no tty")
    open_port(path)
    assert str(path) in heard.lost()


@pytest.mark.parametrize("what", ["bytes", "silence", "returned"])
def test_a_callback_that_raises_costs_the_port_not_the_thread(
    far_end: FarEnd,
    heard: Heard,
    open_port: Callable[..., SerialPort],
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    def fail() -> None:
        raise RuntimeError("inbox")

    heard.hooks[what] = fail
    open_port(far_end.path)
    # Opening drops what came before it, so nothing is sent before.
    assert heard.next() == ("returned", None)
    if what != "returned":
        far_end.send(b"1")
    assert "a callback failed (RuntimeError('inbox'))" in heard.lost()
    assert "Traceback" in caplog.text
    assert heard.next() == ("returned", None)
    far_end.send(b"2")
    assert heard.bytes(1) == b"2"


def test_a_loss_that_nobody_takes_does_not_end_the_thread(
    tmp_path: Path, heard: Heard, open_port: Callable[..., SerialPort], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("inbox")

    heard.hooks["lost"] = fail
    open_port(tmp_path / "reader")
    assert heard.next()[0] == "lost"
    FarEnd(tmp_path / "reader")
    assert heard.next() == ("returned", None)
    assert "nobody could be told" in caplog.text


@pytest.mark.parametrize("plugged", [True, False])
def test_close_ends_the_thread_at_once_and_frees_the_port(
    tmp_path: Path, heard: Heard, open_port: Callable[..., SerialPort], plugged: bool
) -> None:
    path = tmp_path / "reader"
    if plugged:
        FarEnd(path)
    # An hour between attempts: close() does not wait for one.
    port = open_port(path, retry_ms=3_600_000)
    heard.next()
    port.close()
    assert not port._thread.is_alive()
    if plugged:
        other = os.open(path, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)


def test_close_returns_though_a_callback_hangs(
    far_end: FarEnd, heard: Heard, open_port: Callable[..., SerialPort]
) -> None:
    release = threading.Event()

    def hang() -> None:
        release.wait(DEADLINE_S)

    heard.hooks["bytes"] = hang
    port = open_port(far_end.path)
    assert heard.next() == ("returned", None)
    far_end.send(b"x")
    assert heard.bytes(1) == b"x"
    port.close()
    assert port._thread.is_alive()
    release.set()
    port._thread.join(DEADLINE_S)
    assert not port._thread.is_alive()


def test_a_lost_port_is_also_the_standard_error() -> None:
    assert issubclass(PortLost, OSError)
    assert issubclass(PortLost, DriverError)
