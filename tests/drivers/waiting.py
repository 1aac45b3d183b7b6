"""Waiting for what must come, never for a length of time."""

from __future__ import annotations

import threading
from collections.abc import Callable

DEADLINE_S = 20.0
"""Generous: a test that reaches it has failed."""


def eventually(true: Callable[[], bool]) -> None:
    """Wait for a change that nothing announces."""
    tick = threading.Event()
    for _ in range(int(DEADLINE_S / 0.005)):
        if true():
            return
        tick.wait(0.005)
    raise AssertionError("it never came true")
