from kiosk.simulator.wiring import Inputs


def inputs():
    told = []
    return Inputs(lambda line, level: told.append((line, level)), active=("door",)), told


def test_two_items_in_one_beam_are_one_pulse():
    it, told = inputs()
    it.add("beam_a")
    it.add("beam_a")
    it.remove("beam_a")
    assert told == [("beam_a", 0)]
    it.remove("beam_a")
    assert told == [("beam_a", 0), ("beam_a", 1)]


def test_a_cut_wire_reads_one_whatever_happens_and_the_truth_when_mended():
    it, told = inputs()
    it.force("door", 1)
    it.set("door", False)
    it.set("door", True)
    assert told == [("door", 1)]
    it.force("door", None)
    assert told == [("door", 1), ("door", 0)]


def test_after_a_power_cut_only_what_is_different_is_told():
    it, told = inputs()
    it.listen(False)
    it.add("beam_a")
    it.remove("beam_a")
    it.set("door", False)
    assert told == []
    it.listen(True)
    assert told == [("door", 1)]
