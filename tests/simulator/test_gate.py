from kiosk.simulator.gate import Gate


def gate():
    return Gate(travel_ns=1_000, home_ns=100)


def run(gate, until_ns):
    """Every change of a switch until then, as (time, store, home, return)."""
    seen = []
    while (next_ns := gate.next_ns()) is not None and next_ns <= until_ns:
        gate.settle(next_ns)
        seen.append((next_ns, gate.store, gate.home, gate.returned))
    gate.settle(until_ns)
    return seen


def test_on_the_way_to_store_it_leaves_home_and_is_stopped_at_the_end_stop():
    it = gate()
    it.drive(-1, 0)
    assert run(it, 5_000) == [(101, False, False, False), (1_000, True, False, False)]
    assert it.position_ns(9_000) == -1_000
    assert not it.moving, "the end stop stops it, though it is still driven"


def test_the_way_back_releases_the_end_stop_and_passes_home():
    it = gate()
    it.drive(-1, 0)
    run(it, 2_000)
    it.drive(1, 2_000)
    assert run(it, 5_000) == [
        (2_020, False, False, False),
        (2_900, False, True, False),
        (3_101, False, False, False),
        (4_000, False, False, True),
    ]


def test_stopped_at_home_it_stays_at_home():
    it = gate()
    it.drive(1, 0)
    run(it, 60)
    it.drive(0, 60)
    assert (it.position_ns(9_000), it.home, it.next_ns()) == (60, True, None)


def test_a_jammed_gate_does_not_move_and_goes_on_when_freed():
    it = gate()
    it.drive(1, 0)
    it.jam(True, 500)
    assert it.next_ns() is None
    assert not it.moving
    it.jam(False, 10_000)
    assert it.position_ns(10_100) == 600
