"""``python -m tests.simulation --seeds 500``: many seeds at once, and the table of what went wrong in them."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import asdict

from tests.simulation.faults import ALL
from tests.simulation.run import Report, run

FAULTS_COMPLETE_FROM = 300
"""Fewer seeds than this may well leave out a fault."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, metavar="N", help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, metavar="S", help="the first of them")
    parser.add_argument("--seed", type=int, metavar="X", help="run this one only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    arguments = parser.parse_args()
    seeds = (
        [arguments.seed] if arguments.seed is not None else range(arguments.start, arguments.start + arguments.seeds)
    )
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(min(arguments.jobs, len(seeds))) as pool:
        reports = list(told(pool.imap(run, seeds), quiet=arguments.json))
    fired = sum((report.fired for report in reports), Counter[str]())
    broken = [report for report in reports if report.broken]
    missing = [name for name in ALL if not fired[name]] if len(reports) >= FAULTS_COMPLETE_FROM else []
    if arguments.json:
        result = {
            "seeds": len(reports),
            "seconds": round(time.monotonic() - began, 1),
            "falls": sum(report.falls for report in reports),
            "credits": sum(report.credits for report in reports),
            "crashes": sum(report.lives - 1 for report in reports),
            "fired": {name: fired[name] for name in ALL},
            "never_fired": missing,
            "broken": [asdict(report) for report in broken],
        }
        print(json.dumps(result))  # noqa: T201
    else:
        print(table(reports, fired, missing, time.monotonic() - began))  # noqa: T201
    return 1 if broken or missing else 0


def told(reports, *, quiet):  # type: ignore[no-untyped-def]
    """Say what broke as soon as it does."""
    for report in reports:
        if report.broken and not quiet:
            print(story_of(report), flush=True)  # noqa: T201
        yield report


def story_of(report: Report) -> str:
    """A broken seed: what, after which faults, and how to see it again."""
    faults = ", ".join(f"{name} {count}" for name, count in report.fired.most_common())
    return (
        f"seed {report.seed}: {report.broken}\n  faults: {faults or 'none'}\n"
        f"  again: python -m tests.simulation --seed {report.seed}"
    )


def table(reports: list[Report], fired: Counter[str], missing: list[str], seconds: float) -> str:
    lines = [f"{fired[name]:7d}  {name}" for name in ALL]
    broken = sum(report.broken is not None for report in reports)
    lines.append(
        f"{len(reports)} seeds in {seconds:.0f} s: {sum(report.falls for report in reports)} items, "
        f"{sum(report.credits for report in reports)} credits, {sum(report.lives - 1 for report in reports)} deaths, "
        f"{sum(report.virtual_s for report in reports) / 3600:.1f} hours of virtual time, {broken} broken"
    )
    if missing:
        lines.append(f"never fired: {', '.join(missing)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
