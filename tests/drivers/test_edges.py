from __future__ import annotations

import itertools

from gpiozero.pins.mock import MockFactory

from drivers.edges import GpiozeroEdges
from drivers.readings import Edge


def test_edges_carry_line_polarity_and_the_clock(mock_pins: MockFactory) -> None:
    ticks = itertools.count(1_000)
    source = GpiozeroEdges({"a": 17, "b": 27}, clock_ns=lambda: next(ticks))
    edges: list[Edge] = []
    source.start(edges.append)
    mock_pins.pin(17).drive_low()
    mock_pins.pin(27).drive_low()
    assert (source.active("a"), source.active("b")) == (True, True)
    mock_pins.pin(17).drive_high()
    assert edges == [
        Edge(line="a", active=True, t_ns=1_000),
        Edge(line="b", active=True, t_ns=1_001),
        Edge(line="a", active=False, t_ns=1_002),
    ]
    assert not source.active("a")
    source.close()


def test_a_beam_blocked_before_the_start_is_told_at_the_start(mock_pins: MockFactory) -> None:
    source = GpiozeroEdges({"a": 17, "b": 27}, clock_ns=lambda: 7)
    mock_pins.pin(17).drive_low()
    edges: list[Edge] = []
    source.start(edges.append)
    assert edges == [Edge(line="a", active=True, t_ns=7)]
    source.close()


def test_a_listener_that_raises_does_not_silence_the_pins(mock_pins: MockFactory) -> None:
    source = GpiozeroEdges({"a": 17}, clock_ns=lambda: 7)
    heard: list[bool] = []

    def listener(edge: Edge) -> None:
        heard.append(edge.active)
        raise RuntimeError("inbox")

    source.start(listener)
    mock_pins.pin(17).drive_low()
    mock_pins.pin(17).drive_high()
    assert heard == [True, False]
    source.close()


def test_after_close_nothing_is_delivered_and_the_pins_are_free(mock_pins: MockFactory) -> None:
    edges: list[Edge] = []
    source = GpiozeroEdges({"a": 17}, clock_ns=lambda: 7)
    source.start(edges.append)
    source.close()
    mock_pins.pin(17).drive_low()
    assert edges == []
    GpiozeroEdges({"a": 17}, clock_ns=lambda: 7).close()
