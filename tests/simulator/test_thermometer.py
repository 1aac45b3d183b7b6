import pytest

from kiosk.simulator.thermometer import ROOM_MC, Thermometer

S = 1_000_000_000


def test_heat_comes_evenly():
    it = Thermometer(0)
    it.heat(81_000, 60 * S, 10 * S)
    assert [it.milli_celsius(t * S) for t in (10, 40, 70, 99)] == [ROOM_MC, 51_000, 81_000, 81_000]
    assert it.convert(40 * S)
    assert it.text.endswith("t=51000\n")
    assert not it.convert(40 * S), "the file reads as before"


@pytest.mark.parametrize(
    ("fault", "end"),
    [("power_on", "YES t=85000"), ("crc", "NO t=30000"), ("zero", "YES t=0"), ("stale", "YES t=21000")],
)
def test_each_fault_reads_as_on_a_real_sensor(fault, end):
    it = Thermometer(0)
    it.heat(30_000, 0, 0)
    it.fault = fault
    it.convert(S)
    first, second = it.text.splitlines()
    assert f"{first.split()[-1]} {second.split()[-1]}" == end


def test_a_missing_sensor_has_no_file_until_it_is_back():
    it = Thermometer(0)
    it.fault = "missing"
    assert it.convert(S)
    assert it.text is None
    it.fault = None
    assert it.convert(2 * S)
    assert it.text.endswith("t=21000\n")
