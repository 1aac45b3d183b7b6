from __future__ import annotations

import fcntl
import json
import stat
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner, Result

from sync.points_server import cli
from sync.points_server.server import PointsServer
from sync.points_server.tariffs import DEFAULT_TARIFF, read_tariff
from sync.records import Tariff, TariffItem
from tests.sync.sync_making import Bin, chains, deposit, enrolled, make_server


def run(folder: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, ["--database", str(folder / "points.db"), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def opened(folder: Path) -> PointsServer:
    return make_server(url=f"sqlite:///{folder}/points.db")


def test_a_server_is_made_and_a_bin_is_added(tmp_path: Path) -> None:
    assert run(tmp_path, "init").exit_code == 0
    assert stat.S_IMODE((tmp_path / "points.db").stat().st_mode) == 0o600
    added = run(tmp_path, "bin", "add", "bin-1")
    assert len(added.output.strip()) == 24
    refused = run(tmp_path, "bin", "add", "bin/1")
    assert (refused.exit_code, "named by" in refused.output) == (1, True)


def test_nothing_is_made_by_a_mistyped_path(tmp_path: Path) -> None:
    result = run(tmp_path, "journal")
    assert (result.exit_code, "points-server init" in result.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_share_a_database(tmp_path: Path) -> None:
    run(tmp_path, "init")
    with open(tmp_path / "points.db.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run(tmp_path, "journal")
    assert (result.exit_code, "in use" in result.output) == (1, True)


def test_a_folder_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere", "init")
    assert (result.exit_code, "No such file" in result.output) == (1, True)


def test_the_journal_is_printed_for_people_and_for_programs_and_a_hold_is_released(tmp_path: Path) -> None:
    server = opened(tmp_path)
    Bin(server, enrolled(server), chains(deposit("i1"), deposit("i2", points=11))).sync()
    server.close()
    assert run(tmp_path, "release", "bin-1", "g1", str(2**63)).exit_code == 2
    assert "+10  resident/em4100/k1:aa" in run(tmp_path, "journal").output
    assert run(tmp_path, "release", "bin-1", "g1", "3").output == "released\n"
    assert "not held" in run(tmp_path, "release", "bin-1", "g1", "3").output
    lines = [json.loads(line) for line in run(tmp_path, "journal", "--json").output.splitlines()]
    assert [line["points"] for line in lines] == [10, -10, 11, -11]


def test_serving_runs_until_it_is_stopped_with_a_limit_on_open_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self: seen.append(self.config))
    run(tmp_path, "init")
    assert run(tmp_path, "serve", "--port", "8123", "--operator-view", "--next-call-ms", "2000").exit_code == 0
    assert (seen[0].host, seen[0].port, seen[0].timeout_graceful_shutdown) == ("127.0.0.1", 8123, 2)


# --- tariff files ---------------------------------------------------------------------------------------------------

TOML = 'version = 2\n[items.AA]\nitem_code = "B01-02"\npoints = 12\n[items.9V]\nitem_code = "B01-05"\npoints = 0\n'


def test_a_tariff_is_read_from_toml_and_json_and_becomes_current(tmp_path: Path) -> None:
    wanted = Tariff(
        version=2,
        items={"AA": TariffItem(item_code="B01-02", points=12), "9V": TariffItem(item_code="B01-05", points=0)},
    )
    (tmp_path / "prices.toml").write_text(TOML)
    as_json = {"version": 2, "items": {"AA": {"item_code": "B01-02", "points": 12}}}
    as_json["items"]["9V"] = {"item_code": "B01-05", "points": 0}  # type: ignore[index]
    (tmp_path / "prices.json").write_text(json.dumps(as_json))
    assert read_tariff(tmp_path / "prices.toml") == read_tariff(tmp_path / "prices.json") == wanted
    run(tmp_path, "init")
    assert run(tmp_path, "tariff", str(tmp_path / "prices.toml")).output == "tariff 2 is current\n"
    server = opened(tmp_path)
    bin_ = Bin(server, enrolled(server), chains())
    bin_.sync()
    server.close()
    assert bin_.tariff == wanted
    (tmp_path / "prices.toml").write_text(TOML.replace("12", "13"))
    refused = run(tmp_path, "tariff", str(tmp_path / "prices.toml"))
    assert (refused.exit_code, "only go up" in refused.output) == (1, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = ", "Invalid value"),
        ("version = 2", "items"),
        ("version = 0\n[items.AA]\nitem_code = 'x'\npoints = 1", "version .* from 1 to"),
        ("version = 9223372036854775808\n[items.AA]\nitem_code = 'x'\npoints = 1", "version .* from 1 to"),
        ("version = 2\n[items]", "at least one item"),
        ("version = 2\n[items.AA]\nitem_code = 'x'\npoints = -1", "items.AA"),
        ("version = 2\n[items.AA]\nitem_code = 'x'\npoints = 1000001", "items.AA"),
        ("version = 2\n[items.AA]\nitem_code = ''\npoints = 1", "items.AA.item_code"),
        ("version = 2\n[items.AA]\nitem_code = 'a\\tb'\npoints = 1".replace("'", '"'), "items.AA.item_code"),
        (f"version = 2\n[items.AA]\nitem_code = '{'x' * 65}'\npoints = 1", "items.AA.item_code: a name has 1 to 64"),
        (f"version = 2\n[items.{'A' * 65}]\nitem_code = 'x'\npoints = 1", "items.*a name has 1 to 64"),
        ("version = 2\n" + "".join(f"[items.A{n}]\nitem_code = 'x'\npoints = 1\n" for n in range(257)), "at most 256"),
        ("version = 2\n[items.AA]\nitem_code = 'x'\npoints = '1'", "int"),
    ],
)
def test_a_wrong_tariff_file_is_named_with_its_mistake(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        read_tariff(path)
    assert str(path) in str(caught.value)


def test_the_default_tariff_is_one_that_could_be_read_from_a_file() -> None:
    assert DEFAULT_TARIFF.version == 1
    assert all(item.points > 0 and item.item_code for item in DEFAULT_TARIFF.items.values())
