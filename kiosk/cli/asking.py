"""How every command finds the configuration, the daemon and the ledger, and how it says that it could not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from kiosk import config as configuration
from kiosk import ledger_questions
from kiosk.config import Config, ConfigError
from kiosk.control_socket import NotRunning, ask
from sync.ledger.errors import LedgerError, LedgerInUse
from sync.ledger.recovery import read_copy

F = TypeVar("F", bound=Callable[..., Any])

REFUSED, MISUSED, NOT_RUNNING = 1, 2, 3


class Failure(click.ClickException):
    """Ends a command with one plain sentence and an exit code."""

    def __init__(self, message: str, exit_code: int = REFUSED) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010 - click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), err=True)


def config_option(command: F) -> F:
    """``--config FILE``, loaded; every mistake in it is printed and ends the command with 2."""
    return config_path_option(command, lambda context, parameter, value: loaded(Path(value)))


def config_path_option(command: F, callback: Callable[..., Any] | None = None) -> F:
    """``--config FILE``, not read yet unless a callback does."""
    return click.option(
        "--config",
        "config",
        metavar="FILE",
        default="/etc/battery-kiosk/kiosk.toml",
        envvar="KIOSK_CONFIG",
        show_default=True,
        show_envvar=True,
        callback=callback,
        help="The bin's configuration.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def readable(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A callback for free text: bytes of the terminal that are no UTF-8 cannot be recorded or sent."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise click.BadParameter("is not readable text: use UTF-8") from error
    return value


def loaded(path: Path) -> Config:
    try:
        return configuration.load(path)
    except ConfigError as error:
        raise Failure(str(error), MISUSED) from error


def ask_daemon(config: Config, request: dict[str, Any]) -> dict[str, Any]:
    """The daemon's answer; a refusal or an absent daemon ends the command."""
    try:
        reply = ask(config.run_dir / "control.sock", request)
    except NotRunning as error:
        raise Failure(str(error), NOT_RUNNING) from error
    if "error" in reply:
        raise Failure(reply["error"])
    return reply


def ask_ledger(config: Config, question: dict[str, Any]) -> dict[str, Any]:
    """The ledger's answer through the daemon, or from a copy of the files while none runs."""
    try:
        reply = ask(config.run_dir / "control.sock", {"do": "ledger", **question})
    except NotRunning:
        return ask_copy(config, question)
    if "error" in reply:
        raise Failure(reply["error"])
    return reply


def ask_copy(config: Config, question: dict[str, Any]) -> dict[str, Any]:
    try:
        with read_copy(config.state_dir / "ledger.sqlite") as ledger:
            return ledger_questions.answer(ledger, question)
    except LedgerInUse as error:
        raise Failure(f"{error} (its control socket does not answer)", NOT_RUNNING) from error
    except (LedgerError, ValueError) as error:
        raise Failure(str(error)) from error


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))
