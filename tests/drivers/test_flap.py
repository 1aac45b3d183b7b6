from __future__ import annotations

from gpiozero.pins.mock import MockFactory

from drivers.flap import FlapLock


def test_the_lock_is_unpowered_at_start_and_after_close(mock_pins: MockFactory) -> None:
    lock = FlapLock(26, on_ms_max=10_000)
    output = mock_pins.pin(26)
    assert (output.function, output.state, lock.unlocked) == ("output", False, False)
    lock.unlock(0)
    assert (output.state, lock.unlocked) == (True, True)
    lock.close()
    assert (output.function, lock.unlocked) == ("input", False)


def test_the_solenoid_is_cut_after_its_on_time_counted_from_the_first_unlock(mock_pins: MockFactory) -> None:
    lock = FlapLock(26, on_ms_max=10_000)
    lock.unlock(1_000)
    lock.unlock(9_000)
    lock.tick(10_999)
    assert lock.unlocked
    lock.tick(11_000)
    assert not lock.unlocked
    assert mock_pins.pin(26).state is False
    lock.tick(12_000)
    assert not lock.unlocked


def test_a_lock_that_was_locked_may_be_unlocked_anew(mock_pins: MockFactory) -> None:
    lock = FlapLock(26, on_ms_max=10_000)
    lock.unlock(0)
    lock.lock()
    assert mock_pins.pin(26).state is False
    lock.unlock(9_000)
    lock.tick(18_999)
    assert lock.unlocked
