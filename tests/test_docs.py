"""What README, the Chinese README and the example configuration say about the code is so."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from kiosk import config
from kiosk.cli import main as kiosk
from sync.points_server.cli import main as points_server
from sync.points_server.tariffs import read_tariff

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs" / "kiosk.toml.example"
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
DOCUMENTS = [*READMES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
PROGRAMS: dict[str, click.Command] = {"kiosk": kiosk, "points-server": points_server}

DEFAULT_LINE = re.compile(r"^#(?=[a-z][a-z_0-9]* = )", re.MULTILINE)
"""A line of the example that shows a default: no blank between # and the key."""

name_of = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
readme = pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)


# --- the example configuration --------------------------------------------------------------------------------------


def every_default_set() -> str:
    return DEFAULT_LINE.sub("", EXAMPLE.read_text(encoding="utf-8"))


def loaded(folder: Path, text: str) -> config.Config:
    path = folder / "kiosk.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def test_the_example_loads_as_it_is() -> None:
    assert config.load(EXAMPLE).card_reader is not None


def test_what_the_example_shows_as_defaults_are_the_defaults(tmp_path: Path) -> None:
    shown = loaded(tmp_path, every_default_set())  # gpio.socket stands behind # as well, and has no default
    assert replace(shown, gpio_socket=Path("pins.sock")) == config.load(EXAMPLE)


def test_the_example_has_every_key_that_there_is(tmp_path: Path) -> None:
    table: dict[str, Any] = tomllib.loads(every_default_set())
    reader = config.Reader(table, {})
    config.read(reader)
    assert reader.mistakes == []
    assert set(config.leaves(table)) == reader._asked


# --- names that the documents use -----------------------------------------------------------------------------------


@name_of
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    for path, name in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", document.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file(), path
        if name:
            assert re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), (
                name
            )


@readme
def test_each_of_the_five_promises_names_its_test(document: Path) -> None:
    first_screen = document.read_text(encoding="utf-8").partition("\n## ")[0]
    promises = re.findall(r"^\| [1-5] \|.*$", first_screen, re.MULTILINE)
    assert len(promises) == 5
    assert all("::test_" in promise for promise in promises)


@name_of
def test_every_file_that_a_document_links_to_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith("https://"):
            assert (ROOT / target).exists(), target


@name_of
def test_every_section_that_a_document_links_to_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    anchors = {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(#([^)]+)\)", text):
        assert target in anchors, target


def anchor_of(heading: str) -> str:
    """As the sites that show Markdown make them: lower case, no punctuation, dashes for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# --- commands -------------------------------------------------------------------------------------------------------


def commands_in(text: str) -> list[list[str]]:
    """Every ``kiosk ...`` and ``points-server ...`` in code, as words."""
    code = [*re.findall(r"`([^`\n]+)`", text), *"".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()]
    found = []
    for line in code:
        for part in re.split(r"&&|\||;", line.partition(" #")[0]):
            if match := re.search(r"(?:^|[\s/])(kiosk|points-server) (?=[\w-])(.*)", part):
                words = [match[1], *shlex.split(match[2])]
                # --database stands before the command: both go through the same check without it.
                found.append([words[0], *words[3:]] if words[1] == "--database" else words)
    return found


def assert_exists(words: list[str]) -> None:
    command: click.Command = PROGRAMS[words[0]]
    context = click.Context(command)
    rest = words[1:]
    while rest and isinstance(command, click.Group):
        if rest[0].startswith("-"):
            return
        found = command.get_command(context, rest[0])
        assert found is not None, words
        command, rest = found, rest[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= known | {"--help", "--version"}, words


@name_of
def test_every_command_and_option_that_a_document_names_exists(document: Path) -> None:
    for words in commands_in(document.read_text(encoding="utf-8")):
        assert_exists(words)


@readme
def test_every_command_that_there_is_is_named(document: Path) -> None:
    named = {" ".join(words[:2]) for words in commands_in(document.read_text(encoding="utf-8"))}
    for program, group in PROGRAMS.items():
        assert isinstance(group, click.Group)
        assert {f"{program} {name}" for name in group.list_commands(click.Context(group))} <= named


def test_a_command_that_does_not_exist_is_found_out() -> None:
    for wrong in (["kiosk", "open"], ["kiosk", "ledger", "drop"], ["kiosk", "empty", "--force"]):
        with pytest.raises(AssertionError):
            assert_exists(wrong)


@readme
def test_the_tariff_in_a_readme_can_be_read(document: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(version = .*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "prices.toml"
    path.write_text(example, encoding="utf-8")
    assert read_tariff(path).version > 1, "version 1 is the example tariff that init makes"


@readme
def test_the_pins_in_a_readme_are_the_defaults(document: Path) -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(bcm) for bcm, name in rows} == config.DEFAULT_PINS


@name_of
def test_no_figure_is_left_open(document: Path) -> None:
    assert re.findall(r"\{\{.*?\}\}", document.read_text(encoding="utf-8")) == []
