"""The thread, real HTTP on loopback, uvicorn and the points server, and the real ledger, end to end."""

from __future__ import annotations

import functools
import queue
import random
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest
import requests
import uvicorn

from sync import uploader_thread, wire
from sync.exchange import Apply, Batch
from sync.identity import Identity
from sync.ledger.errors import LedgerUnavailable
from sync.ledger.ledger import Ledger
from sync.points_server.app import make_app, make_web_server
from sync.points_server.server import PointsServer
from sync.records import Stamp, Tariff
from sync.upload_steps import Alarm, Forked, Offline, Online, Outcome, ServerTime, TariffIssued
from sync.uploader import Uploader
from sync.uploader_thread import UploaderThread
from tests.sync.ledger import making as ledger_making
from tests.sync.sync_making import STAMP, Bin, Chains, deposit, enrolled, make_server, status

PATIENCE_S = 20

T = TypeVar("T")


class Port:
    """The real ledger under a lock; ``trouble`` makes that many calls fail."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.trouble = 0
        self.lock = threading.Lock()
        self.agrees = True

    def guarded(self, question: Callable[[], T]) -> T:
        with self.lock:
            if self.trouble:
                self.trouble -= 1
                raise LedgerUnavailable("full")
            return question()

    def batch(self, records_max: int, bytes_max: int) -> Batch:
        return self.guarded(lambda: self.ledger.batch(records_max, bytes_max))

    def hash_at(self, generation: str, seq: int) -> bytes | None:
        return self.guarded(lambda: self.ledger.hash_at(generation, seq))

    def apply(self, answer: Apply) -> None:
        assert self.guarded(lambda: self.ledger.apply(answer))

    def begin_generation(self, instead_of: str) -> None:
        self.guarded(lambda: self.ledger.begin_generation("fork", STAMP, instead_of=instead_of))

    def store_tariff(self, tariff: Tariff) -> bool:
        return self.guarded(lambda: self.ledger.store_tariff(tariff)) and self.agrees


class Setting:
    """A points server behind uvicorn, a ledger with some deposits, and the thread in between."""

    def __init__(self, folder: Path) -> None:
        self.server: PointsServer = make_server(url=f"sqlite:///{folder}/points.db")
        self.identity: Identity = enrolled(self.server)
        connect = functools.partial(sqlite3.connect, check_same_thread=False)
        self.port = Port(ledger_making.open_ledger(folder, connect=connect))
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.tariff_version: int | None = None
        self.closing: list[Callable[[], None]] = []

    def serve(self) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        web: uvicorn.Server = make_web_server(make_app(self.server, operator_view=True), host="127.0.0.1", port=0)
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
        thread.start()

        def stop() -> None:
            web.should_exit = True
            thread.join()
            listener.close()

        self.closing.append(stop)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def upload(self, url: str) -> UploaderThread:
        session = requests.Session()
        session.trust_env = False
        thread = UploaderThread(
            Uploader(identity=self.identity, rng=random.Random(1)),
            server_url=url,
            ledger=self.port,
            situation=self.situation,
            on_outcome=self.outcomes.put,
            session=session,
        )
        thread.start()
        self.closing.insert(0, lambda: self._ended(thread))
        return thread

    def situation(self) -> tuple[wire.Status, Stamp]:
        return status(self.tariff_version), STAMP

    def deposit(self, item_id: str) -> None:
        with self.port.lock:
            self.port.ledger.append([ledger_making.deposit(item_id, points=5)])

    def until(self, wanted: Callable[[Outcome], bool]) -> list[Outcome]:
        seen: list[Outcome] = []
        while not seen or not wanted(seen[-1]):
            seen.append(self.outcomes.get(timeout=PATIENCE_S))
        return seen

    def counts(self) -> tuple[int, int, int]:
        with self.port.lock:
            counts = self.port.ledger.counts()
        return counts.acknowledged, counts.pending, counts.held

    def _ended(self, thread: UploaderThread) -> None:
        assert thread.close(PATIENCE_S)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    for close in setting.closing:
        close()
    setting.port.ledger.close()


def test_deposits_reach_the_server_once_through_real_http(setting: Setting) -> None:
    for n in range(3):
        setting.deposit(f"i{n}")
    thread = setting.upload(setting.serve())
    seen = setting.until(lambda outcome: isinstance(outcome, Online))
    assert [type(outcome) for outcome in seen] == [Apply, ServerTime, TariffIssued, Online]
    assert setting.counts() == (0, 0, 3), "the ledger's example prices are not the server's: held, and visible"
    setting.deposit("i3")
    thread.poke()
    setting.until(lambda outcome: isinstance(outcome, Apply) and outcome.seq == 5)
    assert setting.server.overview(0)["totals"]["records"] == 5
    generation = setting.port.ledger.head().generation
    setting.server.release("bin-1", generation, 2, 0)
    thread.poke()
    setting.until(lambda outcome: isinstance(outcome, Apply) and bool(outcome.released))
    assert setting.counts() == (1, 0, 3)


def test_the_operators_page_and_the_refusals_are_there_over_http(setting: Setting) -> None:
    url = setting.serve()
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{url}/v1/operator/ledger?limit=5").json()["totals"]["records"] == 0
        assert session.get(f"{url}/v1/operator/ledger?limit=x").status_code == 200
        assert session.post(f"{url}/v1/bins/bin-1/sync", data=b"nonsense").status_code == 415
        assert session.post(f"{url}/v1/enrol", data=b"nonsense").status_code == 415
        assert session.get(f"{url}/v1/enrol").status_code == 405
        large = bytes(wire.PACKED_BYTES_MAX + 1)
        assert session.post(f"{url}/v1/enrol", data=large, headers={"Content-Encoding": "gzip"}).status_code == 413


def test_a_server_that_is_not_there_is_offline_and_closing_does_not_wait_for_it(setting: Setting) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    setting.upload(url)
    assert setting.outcomes.get(timeout=PATIENCE_S) == Offline(trouble="the server was not reached (ConnectionError)")


def test_a_ledger_in_trouble_loses_no_outcome(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader_thread, "LEDGER_RETRY_S", 0.001)
    setting.deposit("i1")
    thread = setting.upload(setting.serve())
    setting.until(lambda outcome: isinstance(outcome, Online))
    for trouble in (1, 2, 3):
        with setting.port.lock:
            setting.port.trouble = trouble
        setting.deposit(f"more-{trouble}")
        thread.poke()
        seq = 2 + trouble
        setting.until(lambda outcome, seq=seq: isinstance(outcome, Apply) and outcome.seq == seq)  # type: ignore[misc]


def test_a_tariff_that_contradicts_an_earlier_one_is_an_alarm_and_not_used(setting: Setting) -> None:
    setting.port.agrees = False
    setting.upload(setting.serve())
    seen = setting.until(lambda outcome: isinstance(outcome, Alarm))
    assert isinstance(seen[-1], Alarm)
    assert seen[-1].code == "tariff_conflict"
    assert not [outcome for outcome in seen if isinstance(outcome, TariffIssued)]


def test_a_bin_that_went_back_begins_a_new_generation(setting: Setting) -> None:
    """The server has a record behind the bin's newest one."""
    url = setting.serve()
    setting.deposit("i1")
    thread = setting.upload(url)
    setting.until(lambda outcome: isinstance(outcome, Online))
    head = setting.port.ledger.head()
    history = Chains(records=list(setting.port.ledger.records()))
    history.add(deposit("lost"))
    Bin(setting.server, setting.identity, history, seed=9).sync()
    thread.poke()
    seen = setting.until(lambda outcome: isinstance(outcome, Forked))
    assert seen[-1] == Forked(generation=head.generation)
    setting.until(lambda outcome: isinstance(outcome, Apply) and outcome.generation != head.generation)


def test_a_programming_error_is_reported_and_ends_the_thread(setting: Setting) -> None:

    def broken() -> tuple[wire.Status, Stamp]:
        raise AssertionError("broken on purpose")

    setting.situation = broken  # type: ignore[method-assign]
    caught: list[object] = []
    before, threading.excepthook = threading.excepthook, caught.append
    try:
        setting.upload("http://127.0.0.1:9")
        outcome = setting.outcomes.get(timeout=PATIENCE_S)
        setting.closing.pop(0)()
    finally:
        threading.excepthook = before
    assert isinstance(outcome, Alarm)
    assert outcome.code == "uploader_crashed"
    assert len(caught) == 1


@pytest.fixture
def stranger() -> Iterator[list[bytes]]:
    """An HTTP server that answers 200 with whatever it is told; the first entry becomes its address."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(bodies[1])))
            self.end_headers()
            self.wfile.write(bodies[1])

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    bodies.append(f"http://127.0.0.1:{http.server_port}".encode())
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield bodies
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_stranger_who_answers_is_trouble_and_the_request_is_over(setting: Setting, stranger: list[bytes]) -> None:
    stranger.append(b"<html>please log in to this wireless network</html>")
    setting.deposit("i1")
    setting.upload(stranger[0].decode())
    first, second = (setting.outcomes.get(timeout=PATIENCE_S) for _ in range(2))
    assert isinstance(first, Alarm)
    assert first.code == "foreign_answer"
    assert second == Offline(trouble="something answers that is not the server")
    assert setting.counts() == (0, 1, 0)


def test_an_answer_without_end_is_cut_off(setting: Setting, stranger: list[bytes]) -> None:
    stranger.append(bytes(wire.ANSWER_BYTES_MAX + 1))
    setting.upload(stranger[0].decode())
    assert setting.outcomes.get(timeout=PATIENCE_S) == Offline(trouble="the server's answer is too long")


def test_an_answer_that_takes_too_long_is_given_up(
    setting: Setting, stranger: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader_thread, "ANSWER_MS_MAX", -1_000_000)
    stranger.append(b"slow")
    setting.upload(stranger[0].decode())
    assert setting.outcomes.get(timeout=PATIENCE_S) == Offline(trouble="the server's answer takes too long")


def test_the_ledger_is_asked_for_hashes_that_a_request_did_not_carry(setting: Setting) -> None:
    asked: list[tuple[str, int]] = []
    plain = setting.port.hash_at
    setting.port.hash_at = lambda generation, seq: (asked.append((generation, seq)), plain(generation, seq))[1]  # type: ignore[method-assign]
    thread = setting.upload(setting.serve())
    setting.until(lambda outcome: isinstance(outcome, Online))
    thread.poke()
    setting.until(lambda outcome: isinstance(outcome, Apply))
    assert asked == [(setting.port.ledger.head().generation, 1)]
