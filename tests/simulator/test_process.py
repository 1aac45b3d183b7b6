"""Over real pseudo-terminals and sockets; waiting is for bytes, with a deadline only so that a failure ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
import serial

from kiosk.simulator.params import Params
from kiosk.simulator.process import Process
from kiosk.simulator.world import World

DEADLINE_S = 20


class Wire:
    """One end of a socket that speaks in lines."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def line(self):
        line = self._file.readline()
        assert line, "the world closed the connection"
        return line.decode().strip()

    def until(self, wanted):
        """Lines up to and with the first that ``wanted`` accepts."""
        lines = []
        deadline = time.monotonic() + DEADLINE_S
        while not lines or not wanted(lines[-1]):
            assert time.monotonic() < deadline, f"not among {len(lines)} lines"
            lines.append(self.line())
        return lines

    def close(self):
        self._file.close()
        self.socket.close()


class Control(Wire):
    def do(self, **command):
        """Sends a command; its answer. What the watch stream says meanwhile is passed over."""
        self.send(json.dumps(command))
        return json.loads(self.until(lambda line: '"ok"' in line)[-1])

    def event(self, name):
        return json.loads(self.until(lambda line: json.loads(line).get("event") == name)[-1])


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="bin-") as path:  # a socket's path must be short
        yield Path(path)


@pytest.fixture
def world(folder):
    process = Process(folder, World(1, Params(one_shot_ms=50), now_ns=time.monotonic_ns()))
    thread = threading.Thread(target=process.run)
    thread.start()
    wait_for(folder / "control.sock")
    yield folder
    process.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def wait_for(path):
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} has not appeared"
        time.sleep(0.005)


def test_a_daemon_is_told_all_levels_then_ready_then_changes_with_their_time(world):
    daemon, control = Wire(world / "pins.sock"), Control(world / "control.sock")
    first = [line.split() for line in daemon.until(lambda line: line == "ready")]
    assert {(word[1], word[2]) for word in first[:-1]} == {
        ("23", "0"), ("5", "0"), ("17", "1"), ("27", "1"), ("22", "1"), ("20", "1"), ("21", "1"), ("9", "0"),
    }  # fmt: skip
    control.do(do="drop", kind="d", orientation="lengthwise")
    daemon.send("out 26 1")
    before_ns = time.monotonic_ns()
    levels = [line.split() for line in daemon.until(lambda line: line.startswith("level 27 1 "))]
    after_ns = time.monotonic_ns()
    times = [int(word[3]) for word in levels]
    assert times == sorted(times)
    assert before_ns - 1_000_000_000 < times[0] <= times[-1] <= after_ns
    assert [(w[1], w[2]) for w in levels if w[1] in ("17", "27")] == [
        ("17", "0"),
        ("27", "0"),
        ("17", "1"),
        ("27", "1"),
    ]
    daemon.close()
    control.close()


def test_daemons_may_die_and_come_again_and_the_world_goes_on(world):
    control = Control(world / "control.sock")
    control.do(do="watch")
    for _ in range(5):
        daemon = Wire(world / "pins.sock")
        daemon.until(lambda line: line == "ready")
        with serial.Serial(str(world / "scale"), 2_400, bytesize=7, parity="E", timeout=DEADLINE_S) as scale:
            assert scale.read_until(b"\r\n")
            assert scale.read_until(b"\r\n").startswith(b"ST,")
        daemon.send("out 26 1")
        control.event("flap_unlocked")
        daemon.close()
        control.event("flap_locked")
    control.close()


def test_a_card_comes_out_of_its_port_as_a_real_reader_sends_it(world):
    control = Control(world / "control.sock")
    with serial.Serial(str(world / "card_reader"), 9_600, timeout=DEADLINE_S) as reader:
        control.do(do="tap", card="0")
        assert reader.read(28) == b"\x0267003B51C6CB\x03" * 2
    control.close()


def test_nobody_reading_and_somebody_writing_blocks_nothing(world):
    control = Control(world / "control.sock")
    with serial.Serial(str(world / "qr_reader"), 9_600, timeout=DEADLINE_S, write_timeout=DEADLINE_S) as reader:
        for _ in range(60):
            assert control.do(do="noise", device="qr_reader", count=4_096)["ok"]
        reader.reset_input_buffer()
        for _ in range(20):
            reader.write(bytes(1_000))
            control.do(do="noise", device="qr_reader", count=1)
        reader.reset_input_buffer()
        control.do(do="scan", text="STILL-THERE")
        assert reader.read_until(b"\r").endswith(b"STILL-THERE\r")
    control.close()


def test_an_unplugged_device_hangs_up_and_its_path_goes_until_it_is_back(world):
    control = Control(world / "control.sock")
    with serial.Serial(str(world / "scale"), 2_400, timeout=DEADLINE_S) as scale:
        assert scale.read(1)
        control.do(do="plug", device="scale", present=False)
        control.do(do="state")
        assert not os.path.lexists(world / "scale")
        with pytest.raises(serial.SerialException):
            scale.read(10_000)
    control.do(do="plug", device="scale", present=True)
    control.do(do="state")
    with serial.Serial(str(world / "scale"), 2_400, timeout=DEADLINE_S) as scale:
        assert scale.read_until(b"\r\n")
    control.close()


def test_the_sensors_file_follows_the_temperature(world):
    control = Control(world / "control.sock")
    path = world / "w1" / "28-000000000001" / "w1_slave"
    assert path.read_text().endswith("t=21000\n")
    control.do(do="heat", milli_celsius=40_000)
    deadline = time.monotonic() + DEADLINE_S
    while not path.read_text().endswith("t=40000\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    control.close()


def test_whoever_watches_sees_every_event_and_the_end_state(world):
    daemon, control, watcher = (
        Wire(world / "pins.sock"),
        Control(world / "control.sock"),
        Control(world / "control.sock"),
    )
    assert watcher.do(do="watch")["snapshot"]["power"] is True
    control.do(do="drop", kind="aa")
    control.do(do="cut_power_at", event="fell")
    daemon.send("out 26 1")
    seen = [json.loads(line) for line in watcher.until(lambda line: '"power":false' in line)]
    names = [line["event"] for line in seen if "event" in line]
    assert [name for name in names if name not in ("edge", "tipped", "weighed")] == [
        "flap_unlocked",
        "dropped",
        "fell",
        "flap_locked",
        "power_cut",
    ]
    assert names.count("edge") >= 5
    shots = [line["snapshot"] for line in seen if "snapshot" in line]
    assert all(a != b for a, b in pairwise(shots))
    assert [item["kind"] for item in shots[-1]["shelf"]["items"]] == ["aa"]
    for wire in (daemon, control, watcher):
        wire.close()


def test_a_wrong_line_costs_a_hand_an_error_and_a_daemon_its_connection(world):
    control, daemon = Control(world / "control.sock"), Wire(world / "pins.sock")
    control.send("nonsense")
    assert json.loads(control.line())["ok"] is False
    assert control.do(do="state")["ok"]
    daemon.until(lambda line: line == "ready")
    daemon.send("out 26 maybe")
    with pytest.raises(AssertionError, match="closed"):
        daemon.until(lambda line: False)
    control.close()
    daemon.close()


def test_sigterm_ends_it_promptly_with_clients_attached_and_leaves_no_socket(folder):
    command = [sys.executable, "-m", "kiosk.simulator", "--dir", str(folder), "--speed", "fast"]
    with subprocess.Popen(command) as process:
        wait_for(folder / "control.sock")
        daemon, control = Wire(folder / "pins.sock"), Control(folder / "control.sock")
        control.do(do="watch")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        daemon.close()
        control.close()
    assert sorted(path.name for path in folder.iterdir()) == ["w1"]


def test_sockets_left_by_a_killed_world_are_taken_over(folder):
    for name in ("pins.sock", "control.sock"):
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(folder / name))
        left.close()
    os.symlink("/dev/null", folder / "scale")
    process = Process(folder, World(1, now_ns=time.monotonic_ns()))
    thread = threading.Thread(target=process.run)
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            control = Control(folder / "control.sock")
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    assert control.do(do="state")["ok"]
    assert os.path.realpath(folder / "scale").startswith("/dev/pts/")
    process.stop()
    thread.join(DEADLINE_S)
    control.close()


@pytest.mark.parametrize("speed", ["slow", "0", "1000"])
def test_an_impossible_speed_is_refused_in_words(folder, speed):
    command = [sys.executable, "-m", "kiosk.simulator", "--dir", str(folder), "--speed", speed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    assert "give 'fast' or a number" in done.stderr


def test_a_path_too_long_for_a_socket_is_refused_in_words(folder):
    long = folder / ("x" * 120)
    command = [sys.executable, "-m", "kiosk.simulator", "--dir", str(long)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1
    assert "choose a shorter" in done.stderr
