"""The daemon as a process: one deposit end to end, signals, exclusiveness, and what systemd is told."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kiosk.rig import WAIT_S, Rig, wait_for, whole_bin


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with whole_bin(tmp_path_factory.mktemp("bin")) as rig:
        yield rig


def test_a_battery_dropped_in_the_bin_becomes_points_on_the_server(rig: Rig) -> None:
    rig.deposit("aa")
    wait_for(lambda: len(rig.credited()) == 1, "the points on the server")
    wait_for(lambda: rig.screen.credits() != {}, "the credit on the screen")
    ((item_id, posted),) = rig.credited().items()
    assert rig.screen.credits() == {item_id: posted[0]}
    assert posted[0] > 0
    status = rig.wait_status("the acknowledgement", lambda status: status["deposits"]["acknowledged"] == 1)
    assert status["deposits"] == {"accepted": 1, "acknowledged": 1, "pending": 0, "held": 0, "since_emptied": 1}
    assert "same" in rig.kiosk("replay", item_id)
    assert "acknowledged" in rig.kiosk("ledger", "show", item_id)
    assert "0 problems" in rig.kiosk("ledger", "verify")


def test_a_card_held_for_a_minute_is_one_session(rig: Rig) -> None:
    """On a shorter minute: the session ends after 5 s here, and 45 more frames of the held card begin no other."""
    rig.wait_open()
    rig.world("hold", card="1")
    wait_for(lambda: rig.screen.views[-1]["screen"] == "accepting", "the session on the screen")
    began = len(rig.screen.views)
    rig.wait_status("the end of the session", lambda status: status["phase"] == "idle")
    frames_later = time.monotonic() + 3
    wait_for(lambda: time.monotonic() > frames_later, "some fifty more frames")
    rig.world("hold", card=None)
    assert [view["screen"] for view in rig.screen.views[began:] if view["screen"] == "accepting"] == []


def test_a_second_daemon_exits_and_says_who_holds_the_bin(rig: Rig) -> None:
    said = rig.kiosk("run", code=3)
    assert f"held by process {rig.processes['daemon'].pid}" in said
    assert rig.status() is not None, "the first one goes on"


def test_the_ledger_is_read_with_and_without_the_daemon(rig: Rig) -> None:
    with_daemon = rig.kiosk("ledger", "list", "--kind", "deposit", "--json")
    assert rig.end("daemon") == 0
    try:
        assert rig.kiosk("ledger", "list", "--kind", "deposit", "--json") == with_daemon
        assert "start it" in rig.kiosk("status", code=3)
    finally:
        rig.start_daemon()
        rig.wait_open()


def test_sigterm_ends_it_within_two_seconds_with_an_event_stream_open(rig: Rig) -> None:
    with socket.create_connection(("127.0.0.1", rig.screen_port)) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % rig.screen_port)
        assert stream.recv(10).startswith(b"HTTP/1.1")
        process = rig.processes.pop("daemon")
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0  # the promise itself is a deadline
    assert rig.world("state")["snapshot"]["flap"]["locked"]
    rig.start_daemon()
    rig.wait_open()


def test_systemd_hears_ready_watchdog_and_stopping_and_a_dead_scale_withholds_nothing(rig: Rig) -> None:
    assert rig.end("daemon") == 0
    name = f"\0kiosk-{os.getpid()}"
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(WAIT_S)
        rig.world("plug", device="scale", present=False)
        rig.start_daemon(env={"NOTIFY_SOCKET": name.replace("\0", "@")})
        listener = threading.Thread(target=lambda: [heard.append(manager.recv(100)) for _ in range(4)])
        listener.start()
        listener.join(WAIT_S)
        assert b"READY=1" in heard
        assert heard.count(b"WATCHDOG=1") >= 2
        closed = rig.wait_status("the scale's fault", lambda status: "scale" in status["faults"])
        assert not closed["open"]
        rig.world("plug", device="scale", present=True)
        rig.wait_open()
        rig.processes["daemon"].send_signal(signal.SIGTERM)
        while manager.recv(100) != b"STOPPING=1":
            pass
        assert rig.end("daemon") == 0
    rig.start_daemon()
    rig.wait_open()


def test_heat_latches_through_a_restart_until_it_is_cleared_on_site(rig: Rig) -> None:
    rig.world("heat", milli_celsius=65_000)
    rig.wait_status("the latch", lambda status: status["hazards"] == ["heat"])
    assert "wait until it is below" in rig.kiosk("hazard", "clear", "--reason", "impatient", code=1)
    assert rig.end("daemon", signal.SIGKILL) == -signal.SIGKILL
    rig.world("heat", milli_celsius=22_000)
    rig.start_daemon()
    rig.wait_status("the latch after the restart", lambda status: status["hazards"] == ["heat"] and not status["open"])
    rig.wait_status("a cool reading", lambda status: (status["temperatures"]["bin"] or 99) < 30)
    assert "heat: latched" in rig.kiosk("hazard", "show")
    assert "cleared" in rig.kiosk("hazard", "clear", "--reason", "looked inside, taped a 9 V block")
    rig.wait_open()
    assert "no hazard" in rig.kiosk("hazard", "clear", "--reason", "again", code=1)


def test_emptying_is_recorded_and_the_count_begins_again(rig: Rig) -> None:
    rig.wait_open()
    rig.deposit("aa", card="2")
    before = rig.wait_status("a deposit", lambda status: status["deposits"]["since_emptied"] > 0)["deposits"]
    assert "recorded" in rig.kiosk("empty", "--note", "container 12")
    after = rig.wait_status("the count", lambda status: status["deposits"]["since_emptied"] == 0)["deposits"]
    assert after["accepted"] == before["accepted"]


def test_a_machine_without_gpio_is_told_so_and_what_to_install(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    try:
        rig.enrol()
        rig.config.write_text(rig.config.read_text().replace('backend = "simulated"', 'backend = "gpiozero"'))
        assert "pip install 'battery-kiosk[pi]'" in rig.kiosk("run", code=1)
    finally:
        rig.close()


def test_an_unenrolled_bin_says_how_to_enrol(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    try:
        assert "kiosk enrol URL CODE" in rig.kiosk("run", code=2)
    finally:
        rig.close()
