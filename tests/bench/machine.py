"""On what the figures were measured."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from pathlib import Path
from typing import Any


def figures(folder: Path) -> dict[str, Any]:
    """``folder`` lies where the ledgers are put. The load tells how far the times are to be believed."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "cpu_model": cpu_model(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
            "kernel": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "ledger_file_system": file_system(folder),
            "load_average_1_min": round(os.getloadavg()[0], 2),
        }
    }


def cpu_model() -> str:
    """As the kernel names it; a Raspberry Pi says which Pi it is instead."""
    names = dict(re.findall(r"^([\w ]+?)\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return str(names.get("Model") or names.get("model name") or platform.machine())


def file_system(folder: Path) -> str:
    """Type of the file system under ``folder``: of the mount point with the longest path above it."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [(point, kind) for _, point, kind, *_ in mounts if folder.resolve().is_relative_to(point)]
    # Of two mounts on one point the later one is seen.
    return max(enumerate(above), key=lambda numbered: (len(numbered[1][0]), numbered[0]))[1][1]
