"""``kiosk enrol``: make this bin known to its points server."""

from __future__ import annotations

import random

import click
import requests

from kiosk.cli.asking import Failure, config_option, readable
from kiosk.config import Config
from sync import identity
from sync.wire import WireError


@click.command()
@click.argument("url", callback=readable)
@click.argument("code", callback=readable)
@config_option
def enrol(url: str, code: str, config: Config) -> None:
    """Enrol at the points server URL with the one-time CODE of its operator; safe to repeat until it succeeds.

    \b
    Example: kiosk enrol https://points.example.org 4b95-5549-0c1e-a7d2-9be0
    Exit codes: 0 enrolled, 1 refused or not reached, 2 wrong usage or configuration.
    """
    path = config.state_dir / "identity.json"
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True)
        with requests.Session() as session:
            enrolled = identity.enrol(path, url=url, code=code, session=session, rng=random.SystemRandom())
    except (identity.IdentityError, WireError) as error:
        raise Failure(str(error)) from error
    except requests.RequestException as error:
        # Of an address that is none the text says why; any other holds addresses of objects.
        why = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise Failure(f"{url} was not reached ({why}); check the address and the network, then repeat") from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}; run this as the daemon's user or with sudo") from error
    click.echo(f"enrolled as {enrolled.bin_id}")
