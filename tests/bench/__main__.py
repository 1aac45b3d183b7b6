"""``python -m tests.bench``: the figures of the README as one JSON object; progress goes to standard error.

Nothing here passes or fails. Where a figure is a ratio, both sides were measured in turns in the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import commit_cpu, drain, flushes, live_bin, machine, start

MEDIUM = "/var/tmp"
"""Unlike /tmp it is on a disk everywhere (file-hierarchy(7)); a flush to memory would measure nothing."""

PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "machine": machine.figures,
    "flushes": flushes.figures,
    "commit CPU": commit_cpu.figures,
    "a live bin": live_bin.figures,
    "start": start.figures,
    "drain": drain.figures,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path(MEDIUM), help="where the ledgers are put, default %(default)s")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; may be repeated")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    for name in arguments.only or PARTS:
        print(f"==> {name}", end="", file=sys.stderr, flush=True)  # noqa: T201
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kiosk-bench-", dir=arguments.dir) as folder:
            figures |= PARTS[name](Path(folder))
        print(f" ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)  # noqa: T201
    print(json.dumps(figures, indent=2, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main()
