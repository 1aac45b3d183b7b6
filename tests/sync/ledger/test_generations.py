"""When a new generation begins, and what becomes of the one before."""

from __future__ import annotations

import shutil
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from sync.exchange import Apply
from sync.ledger.errors import LedgerError
from sync.ledger.ledger import Ledger
from sync.ledger.recovery import set_aside
from sync.records import ZERO_HASH, GenerationStarted, Head, decode_body
from tests.sync.ledger.making import acknowledging, deposit, flaky, open_ledger, service, stamp

FILES = ("ledger.db", "ledger.db-wal", "ledger.db.open")


def first_of_newest(ledger: Ledger) -> GenerationStarted:
    body = decode_body(ledger.records(kind="generation_started")[-1].body)
    assert isinstance(body, GenerationStarted)
    return body


def reasons(ledger: Ledger) -> list[str]:
    bodies = [decode_body(record.body) for record in ledger.records(kind="generation_started")]
    return [body.reason for body in bodies if isinstance(body, GenerationStarted)]


def snapshot(folder: Path, into: Path) -> Path:
    """What a power cut would leave: the files as they are now, while the ledger is open."""
    into.mkdir()
    for name in FILES:
        if (folder / name).exists():
            shutil.copyfile(folder / name, into / name)
    return into


def put_back(copy: Path, folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
        if (copy / name).exists():
            shutil.copyfile(copy / name, folder / name)


def test_a_new_database_begins_the_first_generation_which_follows_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    assert first_of_newest(ledger) == GenerationStarted(bin_id="bin-1", reason="new", previous=None)
    assert ledger.head().seq == 1
    ledger.close()


def test_reopening_and_crashing_begin_none(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    for round_ in range(3):
        crashed = snapshot(tmp_path, tmp_path / f"crash-{round_}")
        ledger.close()
        put_back(crashed, tmp_path, *FILES)
        ledger = open_ledger(tmp_path)
        assert reasons(ledger) == ["new"]
        ledger.append([service(round_)])
    assert ledger.head().seq == 5
    ledger.close()


def test_another_host_is_a_move_and_names_the_head_that_it_follows(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    (record,) = ledger.append([deposit("i1")])
    ledger.close()
    ledger = open_ledger(tmp_path, host_id="host-2")
    assert first_of_newest(ledger).reason == "moved"
    assert first_of_newest(ledger).previous == Head(generation=record.generation, seq=2, hash=record.hash.hex())
    assert ledger.head().seq == 1
    assert ledger.head().generation != record.generation
    ledger.close()
    ledger = open_ledger(tmp_path, host_id="host-2")
    assert reasons(ledger) == ["new", "moved"]
    assert ledger.verify() == []
    ledger.close()


def test_an_older_copy_put_back_is_noticed_by_an_opening_that_it_does_not_know(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    copy = snapshot(tmp_path, tmp_path / "copy")
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("lost with the newer file")])
    ledger.close()
    open_ledger(tmp_path).close()
    put_back(copy, tmp_path, "ledger.db", "ledger.db-wal")
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["new", "restored"]
    ledger.close()
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["new", "restored"]
    ledger.close()


def test_an_older_copy_of_the_same_opening_is_noticed_by_its_missing_records(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    copy = snapshot(tmp_path, tmp_path / "copy")
    ledger.append([deposit("lost with the newer file")])
    ledger.close()
    put_back(copy, tmp_path, "ledger.db", "ledger.db-wal")
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["new", "restored"]
    ledger.close()


@pytest.mark.parametrize("garbage", [None, b"{"])
def test_a_copy_without_a_readable_marker_counts_as_restored(tmp_path: Path, garbage: bytes | None) -> None:
    open_ledger(tmp_path).close()
    open_ledger(tmp_path).close()
    (tmp_path / "ledger.db.open").unlink()
    if garbage is not None:
        (tmp_path / "ledger.db.open").write_bytes(garbage)
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["new", "restored"]
    ledger.close()


@pytest.mark.parametrize("openings_before", [0, 1, 2])
def test_crashes_between_database_and_marker_however_many_are_no_restoring(
    tmp_path: Path, openings_before: int
) -> None:
    for _ in range(openings_before):
        open_ledger(tmp_path).close()
    marker = tmp_path / "ledger.db.open"
    for _ in range(3):
        before = marker.read_bytes() if marker.exists() else None
        open_ledger(tmp_path).close()
        marker.unlink()
        if before is not None:
            marker.write_bytes(before)
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["new"]
    ledger.close()


def test_a_generation_begins_once_when_its_commit_fails_with_either_outcome(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    for took_effect, host in ((False, "host-2"), (True, "host-3")):
        connection = flaky()
        connection.fail_at, connection.took_effect = "COMMIT", took_effect
        with pytest.raises(LedgerError):
            open_ledger(tmp_path, host_id=host, connect=partial(sqlite3.connect, factory=connection))
        open_ledger(tmp_path, host_id=host).close()
    ledger = open_ledger(tmp_path, host_id="host-3")
    assert reasons(ledger) == ["new", "moved", "moved"]
    ledger.close()


def test_a_fork_begins_one_new_generation_however_often_the_server_says_so(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    old = ledger.head()
    new = ledger.begin_generation("fork", stamp(5), instead_of=old.generation)
    assert first_of_newest(ledger).reason == "fork"
    assert first_of_newest(ledger).previous == old
    assert ledger.begin_generation("fork", stamp(6), instead_of=old.generation) == new == ledger.head()
    ledger.append([deposit("i2")])
    assert ledger.head().seq == 2
    assert ledger.verify() == []
    ledger.close()


def test_pending_records_keep_their_identity_and_no_batch_mixes_generations(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    old_records = ledger.append([deposit("i1"), deposit("i2")])
    ledger.close()
    ledger = open_ledger(tmp_path, host_id="host-2")
    ledger.append([deposit("i3")])
    batch = ledger.batch(100, 10**6)
    assert batch.records[1:] == tuple(old_records)
    assert {record.generation for record in batch.records} == {old_records[0].generation}
    assert batch.generations == (old_records[0].generation, ledger.head().generation)
    ledger.apply(acknowledging(batch.records[-1]))
    batch = ledger.batch(100, 10**6)
    assert [(record.generation, record.seq) for record in batch.records] == [
        (ledger.head().generation, 1),
        (ledger.head().generation, 2),
    ]
    assert ledger.counts().pending == 1
    ledger.close()


def test_a_server_that_lacks_an_older_generation_gets_it_again(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    old_records = ledger.append([deposit("i1"), deposit("i2")])
    old = old_records[0].generation
    new = ledger.begin_generation("fork", stamp(), instead_of=old)
    (record,) = ledger.append([deposit("i3")])
    ledger.apply(acknowledging(record))
    assert ledger.counts().pending == 0
    ledger.apply(acknowledging(old_records[0]))
    assert ledger.counts().pending == 2
    assert ledger.batch(9, 10**6).records == (old_records[1],)
    # Nothing of the newer generation is everything of the older one.
    ledger.apply(Apply(generation=new.generation, seq=0, hash=ZERO_HASH))
    assert ledger.counts().pending == 1
    ledger.apply(Apply(generation=old, seq=0, hash=ZERO_HASH))
    assert ledger.counts().pending == 3
    ledger.close()


def test_hashes_are_found_by_identity_and_nothing_is_made_up(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    head = ledger.head()
    assert ledger.hash_at(head.generation, 1) == bytes.fromhex(head.hash)
    assert ledger.hash_at(head.generation, 0) == ZERO_HASH
    assert ledger.hash_at(head.generation, 2) is None
    assert ledger.hash_at("another", 0) is None
    assert ledger.hash_at("another", 1) is None
    ledger.close()


def test_after_setting_aside_the_reason_is_damaged_and_the_old_file_is_whole(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append([deposit("i1")])
    head = ledger.head()
    crashed = snapshot(tmp_path, tmp_path / "crash")
    ledger.close()
    put_back(crashed, tmp_path, *FILES)
    aside = set_aside(tmp_path / "ledger.db")
    assert (aside / "ledger.db-wal").read_bytes() == (crashed / "ledger.db-wal").read_bytes()
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["damaged"]
    assert first_of_newest(ledger).previous is None
    ledger.close()
    shutil.copyfile(tmp_path / "ledger.db.open", aside / "ledger.db.open")
    kept = open_ledger(aside)
    assert kept.find_item("i1") is not None
    assert kept.hash_at(head.generation, head.seq) == bytes.fromhex(head.hash)
    kept.close()


def test_the_ledger_of_another_bin_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    with pytest.raises(LedgerError, match=r"belongs to bin bin-1.*correct the configuration"):
        open_ledger(tmp_path, bin_id="bin-2")
    ledger = open_ledger(tmp_path)
    assert reasons(ledger) == ["new"]
    ledger.close()
