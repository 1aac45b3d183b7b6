"""The demo to look at, as a person starts it: real processes, a real browser, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from kiosk.simulator.demo.hands import WORDS
from kiosk.simulator.demo.page import STATIC
from tests.screen.browser import browsing, chromium

WAIT_S = 60


class Demo:
    """One ``kiosk demo`` in a folder; its lines as they come."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        argv = [sys.executable, "-u", "-m", "kiosk.cli", "demo", "--dir", str(folder), *arguments]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._lines: Queue[str | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def line(self, pattern: str) -> re.Match[str]:
        """The first line from here on that matches. It plays for ever, so the deadline is for all of them together."""
        seen = []
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline and (line := self._lines.get(timeout=WAIT_S)) is not None:
            seen.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line matched {pattern!r} in: {''.join(seen)}")

    def children(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WAIT_S)


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[Demo]:
    running = Demo(folder, *arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, str]]:
    with demo(tmp_path_factory.mktemp("demo"), "--port", "0") as running:
        yield running, running.line(r"http://127\.0\.0\.1:\d+")[0]


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_another_page_of_the_browser_cannot_press_a_button(page: tuple[Demo, str]):
    address = page[1]
    press = f"{address}/act/cut_network"
    assert status_of(urllib.request.Request(press, method="POST")) == 403
    assert status_of(urllib.request.Request(press, method="POST", headers={"Origin": "http://evil.example"})) == 403
    assert status_of(urllib.request.Request(address, headers={"Host": "evil.example"})) == 404
    assert (
        status_of(urllib.request.Request(f"{address}/act/nothing", method="POST", headers={"Origin": address})) == 409
    )


def test_the_page_shows_three_panes_and_a_credit_explains_itself(page: tuple[Demo, str], tmp_path: Path):
    found = chromium()
    if found is None:
        if os.environ.get("KIOSK_REQUIRE_BROWSER") == "1":
            pytest.fail("no browser on this machine, and KIOSK_REQUIRE_BROWSER=1")
        pytest.skip("no browser on this machine")
    with browsing(*found, tmp_path) as window:
        window.resize(1280, 800)
        window.open(page[1])
        window.wait("document.querySelector('#chip_daemon').textContent === 'daemon runs'")
        titles: list[Any] = window.run(
            "return [...document.querySelectorAll('h2')].slice(0, 3).map((h) => h.textContent)"
        )
        for title, word in zip(titles, ("bin", "screen", "ledger"), strict=True):
            assert word in title
        assert window.run("return document.querySelector('#screen').src").startswith("http://127.0.0.1:")
        window.wait("document.querySelector('#rows .credit')")
        window.wait("Number(document.querySelector('#acknowledged').textContent) >= 1")
        window.click("#rows .credit")
        window.wait("document.querySelector('#evidence').open")
        assert window.run("return document.querySelectorAll('#plot .signal').length") == 3
        assert window.run("return document.querySelectorAll('#plot .dot').length") >= 2
        assert window.run("return document.documentElement.scrollHeight <= innerHeight")


def test_the_power_cut_plays_whole_while_nobody_drops_anything(page: tuple[Demo, str]):
    running, address = page
    press = urllib.request.Request(f"{address}/act/cut_power", method="POST", headers={"Origin": address})
    assert status_of(press) == 200
    assert status_of(press) == 409, "armed already"
    for line in ("armed", "commit: one fdatasync", "POWER CUT", "the daemon starts again", "the credit stands", "once"):
        running.line(line)
    running.line("plays on by itself")


def test_a_refusal_explains_itself_as_a_credit_does(page: tuple[Demo, str]):
    _, address = page
    with urllib.request.urlopen(f"{address}/live", timeout=WAIT_S) as stream:
        # Nobody presses anything: a stone is among what it plays by itself.
        row = next(row for rows in ledgers(stream) for row in rows if row["kind"] == "refusal")
    with urllib.request.urlopen(f"{address}/evidence/{row['item_id']}", timeout=WAIT_S) as answer:
        record = json.load(answer)
    assert record["body"]["reason"] == "not_a_battery"
    assert [line for line, _, _ in record["evidence"]["passages"][0][1]][:1] == ["a"]


def ledgers(stream: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    deadline = time.monotonic() + 2 * WAIT_S
    for line in stream:
        assert time.monotonic() < deadline, "the ledger did not come to it"
        if line.startswith(b"data: "):
            message = json.loads(line[6:])
            if message["kind"] == "ledger":
                yield message["value"]["rows"]


def test_what_cannot_be_done_now_is_told_after_the_button(page: tuple[Demo, str]):
    running, address = page
    press = f"{address}/act/pull_out"
    for _ in range(10):
        if status_of(urllib.request.Request(press, method="POST", headers={"Origin": address})) == 409:
            break
        running.line("you: Pull the item out")
    running.line("not now: nothing lies on the shelf")


def test_every_button_of_the_page_is_told_in_its_own_words():
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    labels = dict(re.findall(r'data-act="(\w+)"[^>]*>([^<]+)<', page))
    assert labels
    assert {name: WORDS[name] for name in labels} == labels
    assert set(re.findall(r'data-other="(\w+)"', page)) | set(labels) == set(WORDS)


def test_ctrl_c_ends_all_children_with_a_stream_open(tmp_path: Path):
    """On a demo of its own: tests run in any order, and the page's one is for the others."""
    with demo(tmp_path, "--port", "0") as running:
        address = running.line(r"http://127\.0\.0\.1:\d+")[0]
        children = running.children()
        assert len(children) == 3
        with urllib.request.urlopen(f"{address}/live", timeout=WAIT_S) as stream:
            assert stream.readline().startswith(b"retry")
            assert running.stop() == 0
        for pid in children:
            assert not Path(f"/proc/{pid}").exists()


def test_a_child_that_dies_is_reported_with_its_last_lines(tmp_path: Path):
    with demo(tmp_path, "--no-page") as running:
        running.line("a card")
        (daemon,) = [pid for pid in running.children() if b"kiosk.cli" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(daemon, signal.SIGKILL)
        running.line("the daemon ended unexpectedly")
        running.line("screen at http")
        assert running.process.wait(WAIT_S) == 1
