"""Ctrl-C, SIGTERM and a closed terminal, as something that can be waited for."""

from __future__ import annotations

import asyncio
import signal


def stop_requested() -> asyncio.Event:
    """Set by the first of these signals; the running loop handles them from now on."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    return asked
