"""The daemon as residents meet it: from the last evidence to the screen; and what it costs while nobody is there."""

from __future__ import annotations

import hashlib
import re
import statistics
import time
from pathlib import Path
from typing import Any

from kiosk.simulator.devices_far_end import CARDS
from sync import identity
from tests.bench.screen_client import ScreenClient
from tests.bench.tiny_bin import TinyBin
from tests.kiosk.rig import Rig

TAPS = 60
DEPOSITS = 40
"""The first of the sessions have a battery."""
AA_MG = 23_800
WEIGH_SETTLE_S = 0.15
"""Readings count from 0.1 s (the rig's weigh_settle_ms) after the flap has been shut long enough."""
IDLE_S = 10.0


def figures(folder: Path) -> dict[str, Any]:
    """Latencies from the last byte that a device sent to the arrival of the event: settling and gate excluded."""
    rig = Rig(folder)
    rig.screen.close()
    tiny = TinyBin(folder / "world")
    try:
        rig.enrol()
        rig.start_daemon()
        rig.wait_open()
        screen = ScreenClient(rig.screen_port)
        idle = at_rest(rig.processes["daemon"].pid)
        taps_ms: list[float] = []
        deposits_ms: list[float] = []
        derivations_ms: list[float] = []
        for number in range(TAPS):
            began_ns = tiny.tap(CARDS[number % len(CARDS)])
            taps_ms.append((screen.wait("accepting")[0] - began_ns) / 1e6)
            if number < DEPOSITS:
                deposits_ms.append(deposit(rig, tiny, screen))
            screen.press_done()
            screen.wait("farewell")
            derivations_ms.append(key_derivation_ms())
        screen.close()
        rig.wait_status("every credit", lambda status: status["deposits"]["acknowledged"] == DEPOSITS)
    finally:
        rig.close()
        tiny.close()
    return {
        "last_evidence_to_credited_ms": spread(deposits_ms),
        "last_card_byte_to_screen_ms": spread(taps_ms),
        "card_key_derivation_ms": spread(derivations_ms),
        **idle,
    }


def deposit(rig: Rig, tiny: TinyBin, screen: ScreenClient) -> float:
    """Milliseconds from the last byte of the reading that settles the mass to the credit's arrival."""
    tiny.drop(AA_MG)
    rig.wait_status("the weighing", lambda status: status["phase"] == "weighing")
    time.sleep(WEIGH_SETTLE_S)
    settled_ns = tiny.weigh()
    credited_ns, _ = screen.wait("credited")
    tiny.speak()
    screen.wait("accepting")
    return (credited_ns - settled_ns) / 1e6


def spread(values_ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values_ms, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "measured_count": len(values_ms)}


def key_derivation_ms() -> float:
    """The part of every tap that is slow on purpose: scrypt at the parameters in use, in this process."""
    began_ns = time.perf_counter_ns()
    hashlib.scrypt(
        b"em4100:67003B51C6",
        salt=bytes(16),
        n=identity.SCRYPT_N,
        r=identity.SCRYPT_R,
        p=identity.SCRYPT_P,
        maxmem=identity.SCRYPT_MEMORY_BYTES,
    )
    return (time.perf_counter_ns() - began_ns) / 1e6


def at_rest(pid: int) -> dict[str, Any]:
    """One screen connected, a scale that speaks ten times a second, a server that is called once a second."""
    began_s, spent_s = time.monotonic(), cpu_s(pid)
    time.sleep(IDLE_S)
    percent = 100 * (cpu_s(pid) - spent_s) / (time.monotonic() - began_s)
    status = Path(f"/proc/{pid}/status").read_text()
    resident = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert resident
    return {
        "idle_cpu_percent_of_a_core": round(percent, 2),
        "idle_rss_with_screen_mib": round(int(resident[1]) / 1024, 1),
    }


def cpu_s(pid: int) -> float:
    """CPU time of another process to the nanosecond (clock_getcpuclockid(3); /proc counts in ticks of 10 ms)."""
    return time.clock_gettime(~pid << 3 | 2)
