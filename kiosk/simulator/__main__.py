"""``python -m kiosk.simulator --dir DIR [--seed N] [--speed fast|FACTOR]``: one simulated bin, until SIGTERM."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from kiosk.simulator.params import Params
from kiosk.simulator.process import Process
from kiosk.simulator.world import World

FAST = 6.0


def speed_factor(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """``fast`` or a number from 0.1 to 20."""
    try:
        factor = FAST if value == "fast" else float(value)
    except ValueError:
        factor = 0.0
    if not 0.1 <= factor <= 20:
        raise click.BadParameter(f"{value!r} is no speed; give 'fast' or a number from 0.1 to 20")
    return factor


@click.command()
@click.option("--dir", "folder", required=True, type=click.Path(path_type=Path), help="Where ports and sockets appear.")
@click.option("--seed", default=1, show_default=True, help="Chance: tilts, speeds, masses, noise.")
@click.option("--speed", default="1", callback=speed_factor, help="Quicker gate and scale: 'fast' or a factor.")
def main(folder: Path, seed: int, speed: float) -> None:
    """Simulate the physics of a battery bin and the far ends of its wires.

    control.sock is made last: when it is there, all of it is.
    """
    process = Process(folder, World(seed, Params().at_speed(speed), now_ns=time.monotonic_ns()))
    process.stop_on_signals()
    try:
        process.run()
    except OSError as error:
        sys.exit(f"simulated world: {error}")


if __name__ == "__main__":
    main()
