"""From the daemon's start to READY, beside a Python process that imports the fixed dependencies and ends."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.live_bin import cpu_s
from tests.bench.tiny_bin import TinyBin
from tests.kiosk.rig import WAIT_S, Rig

REPETITIONS = 7
IMPORTS = "import serial, gpiozero, sqlite_utils, requests"


def figures(folder: Path) -> dict[str, Any]:
    rig = Rig(folder)
    rig.screen.close()
    tiny = TinyBin(folder / "world")
    name = f"\0kiosk-bench-{os.getpid()}"
    ready: list[tuple[float, float]] = []
    imported: list[tuple[float, float]] = []
    try:
        rig.enrol()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.settimeout(WAIT_S)
            # One of each more, which warms the file cache and is not counted.
            for _ in range(REPETITIONS + 1):
                imported.append(importing())
                ready.append(starting(rig, manager, name))
    finally:
        rig.close()
        tiny.close()
    pairs = list(zip(ready, imported, strict=True))[1:]
    return {
        "start_to_ready_s": round(statistics.median(wall for (wall, _), _ in pairs), 2),
        "start_to_ready_cpu_s": round(statistics.median(cpu for (_, cpu), _ in pairs), 2),
        "importing_fixed_dependencies_s": round(statistics.median(wall for _, (wall, _) in pairs), 2),
        "importing_fixed_dependencies_cpu_s": round(statistics.median(cpu for _, (_, cpu) in pairs), 2),
        "start_to_ready_ratio": round(statistics.median(ours / theirs for (ours, _), (theirs, _) in pairs), 2),
        "start_to_ready_cpu_ratio": round(statistics.median(ours / theirs for (_, ours), (_, theirs) in pairs), 2),
    }


def importing() -> tuple[float, float]:
    """Wall and CPU seconds of a Python process from start to end."""
    began_s = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", IMPORTS])
    _, code, usage = os.wait4(process.pid, 0)
    assert code == 0
    process.returncode = code
    return time.monotonic() - began_s, usage.ru_utime + usage.ru_stime


def starting(rig: Rig, manager: socket.socket, name: str) -> tuple[float, float]:
    """Wall and CPU seconds of the daemon until READY arrives where systemd would hear it."""
    began_s = time.monotonic()
    rig.start_daemon(env={"NOTIFY_SOCKET": name.replace("\0", "@")})
    while manager.recv(100) != b"READY=1":
        pass  # the last words of the one before
    spent = time.monotonic() - began_s, cpu_s(rig.processes["daemon"].pid)
    assert rig.end("daemon") == 0
    return spent
