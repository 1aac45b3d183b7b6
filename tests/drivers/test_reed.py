from __future__ import annotations

from gpiozero.pins.mock import MockFactory

from drivers.reed import Reed


def test_a_cut_wire_reads_open_and_a_freed_pin_can_be_taken_again(mock_pins: MockFactory) -> None:
    reed = Reed(23)
    assert mock_pins.pin(23).pull == "up"
    assert not reed.closed
    mock_pins.pin(23).drive_low()
    assert reed.closed
    mock_pins.pin(23).drive_high()
    assert not reed.closed
    reed.close()
    Reed(23).close()
