import pytest
import serial

from kiosk.simulator.ports import Port

DEADLINE_S = 20


@pytest.fixture
def port(tmp_path):
    it = Port(tmp_path / "scale")
    it.plug()
    yield it
    it.unplug()


def test_every_byte_value_comes_through_as_it_is(port, tmp_path):
    with serial.Serial(str(tmp_path / "scale"), timeout=DEADLINE_S) as theirs:
        port.write(bytes(range(256)))
        assert theirs.read(256) == bytes(range(256))


def test_while_nobody_reads_the_oldest_bytes_are_lost_and_not_the_newest(port, tmp_path):
    with serial.Serial(str(tmp_path / "scale"), timeout=DEADLINE_S) as theirs:
        for _ in range(60):
            port.write(bytes(4_096))
        port.write(b"NEWEST\r")
        assert theirs.read_until(b"NEWEST\r").endswith(b"NEWEST\r")


def test_seven_bits_and_parity_can_be_opened_time_and_again(port, tmp_path):
    for _ in range(5):
        serial.Serial(str(tmp_path / "scale"), 2_400, bytesize=7, parity="E").close()
        port.hear()


def test_an_unplugged_port_has_no_path_and_swallows_what_is_sent(port, tmp_path):
    port.unplug()
    port.unplug()
    port.write(b"lost")
    assert list(tmp_path.iterdir()) == []
    assert port.handle is None
    port.plug()
    port.plug()
    with serial.Serial(str(tmp_path / "scale"), timeout=DEADLINE_S) as theirs:
        port.write(b"back")
        assert theirs.read(4) == b"back"
