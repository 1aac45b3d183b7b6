"""``kiosk run``: the daemon."""

from __future__ import annotations

import logging
import sys

import click
from gpiozero.exc import GPIOZeroError

from drivers.errors import DriverError
from kiosk.cli.asking import MISUSED, NOT_RUNNING, Failure, config_option
from kiosk.config import Config
from sync.identity import IdentityError
from sync.identity import load as load_identity
from sync.ledger.errors import LedgerError, LedgerInUse


@click.command()
@config_option
def run(config: Config) -> None:
    """Run the bin until SIGTERM.

    \b
    Example: kiosk run --config /etc/battery-kiosk/kiosk.toml
    Exit codes: 0 ended by a signal, 1 a programming error or a device that cannot be had,
    2 a mistake in the configuration or no enrolment, 3 another daemon runs already.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Not at the top: importing gpiozero, uvicorn and the rest costs a second that no other command should wait for.
    from kiosk.daemon import Daemon

    try:
        identity = load_identity(config.state_dir / "identity.json")
    except IdentityError as error:
        raise Failure(f"{error}: kiosk enrol URL CODE", MISUSED) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}; run this as the daemon's user", MISUSED) from error
    try:
        daemon = Daemon(config, identity)
    except LedgerInUse as error:
        raise Failure(str(error), NOT_RUNNING) from error
    except GPIOZeroError as error:
        raise Failure(f"GPIO: {error}: on a Pi install the extra: pip install 'battery-kiosk[pi]'") from error
    except (LedgerError, DriverError, OSError) as error:
        raise Failure(str(error)) from error
    try:
        code = daemon.run()
    except OSError as error:
        raise Failure(str(error)) from error
    sys.exit(code)
