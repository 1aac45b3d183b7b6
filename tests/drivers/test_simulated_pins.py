"""The far end of the wires is a few lines here, over a real socket."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import Device
from pytest_mock import MockerFixture

from drivers.flap import FlapLock
from drivers.gate import Gate
from drivers.readings import Edge
from drivers.reed import Reed
from drivers.simulated_pins import SimulatedPins
from tests.drivers.waiting import DEADLINE_S, eventually


class World:
    """One connection at a time, as the simulated world's pins socket."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(DEADLINE_S)

    def meet(self) -> None:
        self._wire, _ = self._listener.accept()
        self._wire.settimeout(DEADLINE_S)
        self._lines = self._wire.makefile("rb")

    def say(self, *lines: str) -> None:
        self._wire.sendall("".join(f"{line}\n" for line in lines).encode())

    def hear(self) -> str:
        return self._lines.readline().decode().rstrip("\n")

    def leave(self) -> None:
        self._lines.close()
        self._wire.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "pins.sock")


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[SimulatedPins]:
    before = Device.pin_factory
    simulated = SimulatedPins(str(tmp_path / "pins.sock"), {"a": 17, "b": 27})
    yield simulated
    simulated.close()
    assert Device.pin_factory is before


@pytest.fixture
def edges() -> queue.Queue[Edge]:
    return queue.Queue()


def test_inputs_read_what_the_world_said_before_and_after_the_devices_were_built(
    world: World, pins: SimulatedPins, edges: queue.Queue[Edge]
) -> None:
    door = Reed(23)
    pins.start(edges.put)
    world.meet()
    world.say("level 23 0 1", "level 5 0 2", "level 9 1 3", "ready")
    assert pins.wait_ready(DEADLINE_S)
    flap = Reed(5)
    assert door.closed
    assert flap.closed
    world.say("level 23 1 4")
    eventually(lambda: not door.closed)
    assert edges.empty()
    door.close()
    flap.close()


def test_until_the_world_speaks_nothing_is_closed(pins: SimulatedPins) -> None:
    door = Reed(23)
    assert not door.closed
    assert not pins.active("a")
    assert not pins.wait_ready(0)
    door.close()


def test_edges_carry_the_worlds_own_time_and_come_in_its_order(
    world: World, pins: SimulatedPins, edges: queue.Queue[Edge]
) -> None:
    pins.start(edges.put)
    world.meet()
    world.say("level 17 0 1000", "level 27 1 1000", "ready")
    # Blocked from the start is an edge; clear from the start is none.
    assert edges.get(timeout=DEADLINE_S) == Edge(line="a", active=True, t_ns=1000)
    assert pins.active("a")
    world.say("level 27 0 2000", "level 27 0 2500", "level 17 1 3000", "level 27 1 4000")
    assert [edges.get(timeout=DEADLINE_S) for _ in range(3)] == [
        Edge(line="b", active=True, t_ns=2000),
        Edge(line="a", active=False, t_ns=3000),
        Edge(line="b", active=False, t_ns=4000),
    ]


def test_outputs_are_told_at_connecting_and_as_they_change(
    world: World, pins: SimulatedPins, edges: queue.Queue[Edge]
) -> None:
    lock = FlapLock(26, on_ms_max=1_000)
    lock.unlock(0)
    pins.start(edges.put)
    world.meet()
    assert world.hear() == "out 26 1"
    lock.lock()
    lock.lock()
    lock.unlock(1)
    assert [world.hear(), world.hear()] == ["out 26 0", "out 26 1"]
    lock.close()
    assert world.hear() == "out 26 0"


def test_a_freed_output_is_off(world: World, pins: SimulatedPins, edges: queue.Queue[Edge]) -> None:
    lock = FlapLock(26, on_ms_max=1_000)
    pins.start(edges.put)
    world.meet()
    assert world.hear() == "out 26 0"
    lock._output.on()
    assert world.hear() == "out 26 1"
    lock._output.close()
    assert world.hear() == "out 26 0"


def test_the_gate_runs_on_them(world: World, pins: SimulatedPins, edges: queue.Queue[Edge]) -> None:
    gate = Gate(in1=12, in2=18, store=20, return_=21, home=9, run_limit_ms=3_000, stall_ms=500)
    pins.start(edges.put)
    world.meet()
    world.say("level 9 0 1", "level 20 1 1", "level 21 1 1", "ready")
    assert pins.wait_ready(DEADLINE_S)
    assert {world.hear(), world.hear()} == {"out 12 0", "out 18 0"}
    gate.turn("store", 0)
    assert world.hear() == "out 12 1"
    world.say("level 9 1 2", "level 20 0 3")
    eventually(lambda: gate.position == "store")
    gate.tick(600)
    assert world.hear() == "out 12 0"
    gate.close()


def test_a_world_that_goes_away_cuts_every_wire_and_is_found_again(
    world: World, pins: SimulatedPins, edges: queue.Queue[Edge]
) -> None:
    door, lock = Reed(23), FlapLock(26, on_ms_max=1_000)
    pins.start(edges.put)
    world.meet()
    world.say("level 23 0 1", "level 17 0 1", "ready")
    assert edges.get(timeout=DEADLINE_S).active
    world.leave()
    edge = edges.get(timeout=DEADLINE_S)
    assert (edge.line, edge.active) == ("a", False)
    eventually(lambda: not door.closed)
    lock.unlock(0)
    world.meet()
    assert world.hear() == "out 26 1"
    world.say("level 23 0 9", "ready")
    eventually(lambda: door.closed)
    door.close()
    lock.close()


def test_nonsense_from_the_world_is_logged_and_passed_over(
    world: World, pins: SimulatedPins, edges: queue.Queue[Edge], caplog: pytest.LogCaptureFixture
) -> None:
    pins.start(edges.put)
    world.meet()
    world.say("", "level 17", "level 17 2 1", "level x 0 1", "level 99 0 1", "\x00", "level 17 0 5")
    assert edges.get(timeout=DEADLINE_S) == Edge(line="a", active=True, t_ns=5)
    assert "level 17 2 1" in caplog.text
    assert "input 99 was not taken" in caplog.text


def test_a_listener_that_raises_does_not_silence_the_pins(world: World, pins: SimulatedPins) -> None:
    heard: queue.Queue[Edge] = queue.Queue()

    def listener(edge: Edge) -> None:
        heard.put(edge)
        raise RuntimeError("inbox")

    pins.start(listener)
    world.meet()
    world.say("level 17 0 1", "level 17 1 2")
    assert [heard.get(timeout=DEADLINE_S).active for _ in range(2)] == [True, False]


def test_a_level_for_an_output_does_no_harm(world: World, pins: SimulatedPins, edges: queue.Queue[Edge]) -> None:
    lock = FlapLock(26, on_ms_max=1_000)
    lock.unlock(0)
    pins.start(edges.put)
    world.meet()
    world.say("level 26 0 1", "ready")
    assert pins.wait_ready(DEADLINE_S)
    assert lock._output.value == 1
    lock.close()


def test_a_world_that_stopped_reading_is_left_and_hears_the_last_level_at_the_next_meeting(
    world: World, pins: SimulatedPins, edges: queue.Queue[Edge], mocker: MockerFixture
) -> None:
    lock = FlapLock(26, on_ms_max=1_000)
    pins.start(edges.put)
    world.meet()
    assert world.hear() == "out 26 0"
    hang_up = mocker.spy(pins, "_hang_up")
    while not hang_up.called:
        lock.unlock(0)
        lock.lock()
    lock.unlock(0)
    world.leave()
    world.meet()
    heard = world.hear()
    assert heard == "out 26 1" or (heard, world.hear()) == ("out 26 0", "out 26 1")
    lock.close()


def test_close_waits_for_the_edge_that_is_being_delivered(world: World, pins: SimulatedPins) -> None:
    delivering, release = threading.Event(), threading.Event()

    def listener(edge: Edge) -> None:
        delivering.set()
        release.wait(DEADLINE_S)

    pins.start(listener)
    world.meet()
    world.say("level 17 0 1")
    assert delivering.wait(DEADLINE_S)
    closer = threading.Thread(target=pins.close)
    closer.start()
    eventually(pins._stopping.is_set)
    assert closer.is_alive()
    release.set()
    closer.join(DEADLINE_S)
    assert not closer.is_alive()


def test_a_world_that_never_came_is_no_obstacle_to_closing(pins: SimulatedPins, edges: queue.Queue[Edge]) -> None:
    pins.start(edges.put)
    lock = FlapLock(26, on_ms_max=1_000)
    lock.close()
