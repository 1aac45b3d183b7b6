"""A trace is counted right, or the figures say nothing."""

from __future__ import annotations

from tests.bench.flushes import Stretch, stretches_of


def test_flushes_and_bytes_are_counted_between_marks_also_when_calls_are_interrupted() -> None:
    trace = """\
7 fdatasync(3) = 0
7 write(2, "MARK deposit\\n", 13) = 13
7 pwrite64(3, "\\0"..., 24, 0) = 24
8 pwrite64(3, "x"..., 4096, 24 <unfinished ...>
7 fdatasync(3 <unfinished ...>
8 <... pwrite64 resumed>) = 4096
7 <... fdatasync resumed>) = 0
7 write(2, "MARK idle\\n", 10) = 10
7 write(5, "marker", 6) = 6
7 fsync(5) = 0
7 fsync(6) = 0
7 write(2, "MARK end\\n", 9) = 9
7 fdatasync(3) = 0
"""
    assert stretches_of(trace) == [
        Stretch(what="deposit", flushes=1, written_bytes=4120),
        Stretch(what="idle", flushes=2, written_bytes=0),
    ]
