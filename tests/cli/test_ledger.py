"""Reading a ledger that has no daemon, whole or damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kiosk import ledger_questions
from kiosk.cli import main
from tests.sync.ledger.making import boot, deposit, open_ledger


def run(folder: Path, *argv: str) -> Result:
    config = folder / "kiosk.toml"
    config.write_text(
        f'[bin]\nstate_dir = "{folder}"\nrun_dir = "{folder}"\n[scale]\nport = "/dev/x"\n[temperature]\nfile = "/x"\n'
    )
    result = CliRunner().invoke(main, [*argv, "--config", str(config)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1"), boot(1)])
    ledger.close()
    (tmp_path / "ledger.db").rename(tmp_path / "ledger.sqlite")
    return tmp_path


def spoil(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    connection.execute("DROP TRIGGER records_are_never_changed")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_record_whose_body_cannot_be_read_is_listed_and_shown(folder: Path) -> None:
    spoil(folder, "UPDATE records SET body = x'ff' WHERE position = 2")
    listed = run(folder, "ledger", "list")
    assert (listed.exit_code, "deposit  unreadable" in listed.output) == (0, True)
    generation = listed.output.partition(":")[0]
    shown = run(folder, "ledger", "show", f"{generation}:2")
    assert (shown.exit_code, "unreadable: ff" in shown.output) == (0, True)
    assert run(folder, "ledger", "verify").exit_code == 1


def test_evidence_that_cannot_be_read_is_said_by_show_and_replay(folder: Path) -> None:
    spoil(folder, "UPDATE evidence SET data = x'ff'")
    assert run(folder, "ledger", "show", "i1").exit_code == 0
    replayed = run(folder, "replay", "i1")
    assert (replayed.exit_code, "its evidence is damaged" in replayed.output) == (1, True)


@pytest.mark.parametrize("ref", ["nosuch", "g:" + "9" * 30, "g:0", "g:" + "9" * 5_000, ":"])
def test_a_record_that_there_is_not_is_said(folder: Path, ref: str) -> None:
    result = run(folder, "ledger", "show", ref)
    assert (result.exit_code, "no record" in result.output) == (1, True)


@pytest.mark.parametrize("command", [("ledger", "show"), ("replay",)])
def test_half_a_character_of_the_terminal_is_no_record_and_no_traceback(folder: Path, command: tuple[str, ...]) -> None:
    result = run(folder, *command, "\udcff")
    assert (result.exit_code, "use UTF-8" in result.output) == (2, True)


def test_a_ledger_of_many_slices_is_verified_to_its_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the daemon answers: a slice for each question."""
    monkeypatch.setattr(ledger_questions, "Ledger", object)
    monkeypatch.setattr(ledger_questions, "SLICE_RECORDS", 1)
    spoil(folder, "UPDATE records SET mono_ms = 9 WHERE position = 3")
    result = run(folder, "ledger", "verify")
    assert "3 records, 1 problems" in result.output
    monkeypatch.undo()
    assert run(folder, "ledger", "verify").output == result.output
