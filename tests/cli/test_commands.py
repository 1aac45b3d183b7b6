"""Every command explains itself, and a user's mistake ends in one plain sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kiosk.cli import COMMANDS, main

GROUPED = click.Context(main)


def leaves() -> Iterator[tuple[str, ...]]:
    for name in COMMANDS:
        command = main.get_command(GROUPED, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((name, child) for child in command.list_commands(GROUPED))
        else:
            yield (name,)


@pytest.mark.parametrize("words", list(leaves()), ids=" ".join)
def test_every_command_has_an_example_and_its_exit_codes(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert "Exit codes" in result.output


def test_every_command_that_the_manual_promises_is_there() -> None:
    wanted = {
        "run", "demo", "status", "ledger list", "ledger show", "ledger verify", "replay", "decode", "config check",
        "hazard show", "hazard clear", "empty",
    }  # fmt: skip
    assert wanted <= {" ".join(words) for words in leaves()}


MISTAKES = [
    (("status",), 2, "cannot be read"),
    (("ledger", "list"), 2, "cannot be read"),
    (("nonsense",), 2, "No such command"),
    (("ledger", "list", "--limit", "0"), 2, "not in the range"),
    (("decode", "abacus"), 2, "rdm6300"),
    (("hazard", "clear"), 2, "--reason"),
]


@pytest.mark.parametrize(
    ("argv", "code", "said"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else None
)
def test_a_users_mistake_gets_a_sentence_and_no_traceback(argv: tuple[str, ...], code: int, said: str) -> None:
    result = CliRunner().invoke(main, list(argv), env={"KIOSK_CONFIG": "/nonexistent/kiosk.toml"})
    assert result.exit_code == code
    assert said in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kiosk.toml"
    path.write_text(
        f'[bin]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n'
        '[scale]\nport = "/dev/x"\n[temperature]\nfile = "/x"\n'
    )
    return path


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("config", "check"), 0, "no mistakes"),
        (("config", "check", "--json"), 0, '"mistakes": []'),
        (("status",), 3, "start it: systemctl start battery-kiosk"),
        (("hazard", "show"), 3, "no daemon answers"),
        (("hazard", "clear", "--reason", " "), 2, "write what you found"),
        (("empty",), 3, "no daemon answers"),
        (("ledger", "list"), 1, "there is none"),
        (("ledger", "show", "x"), 1, "there is none"),
        (("replay", "x"), 1, "there is none"),
        (("enrol", "http://127.0.0.1:9", "CODE"), 1, "was not reached"),
        (("run",), 2, "kiosk enrol URL CODE"),
    ],
)
def test_without_a_daemon_each_command_says_what_is_missing(
    config: Path, argv: tuple[str, ...], code: int, said: str
) -> None:
    result = CliRunner().invoke(main, [*argv, "--config", str(config)])
    assert (result.exit_code, said in result.output) == (code, True), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_mistakes_in_the_configuration_end_every_command_with_all_of_them(config: Path) -> None:
    config.write_text("[scale]\nprot = 1\n")
    result = CliRunner().invoke(main, ["config", "check", "--config", str(config)])
    assert result.exit_code == 2
    assert "3 mistakes" in result.output
    assert "line 2: scale.prot: is not known; did you mean scale.port?" in result.output
    as_json = CliRunner().invoke(main, ["config", "check", "--json", "--config", str(config)])
    assert as_json.exit_code == 2
    assert {mistake["key"] for mistake in json.loads(as_json.stdout)["mistakes"]} == {
        "scale.prot", "scale.port", "temperature.file",
    }  # fmt: skip
