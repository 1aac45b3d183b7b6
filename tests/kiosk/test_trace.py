"""The flush precedes the credit, shown by a trace of the real daemon's system calls.

A kill of a process cannot show it: what the kernel holds outlives the process. ``KIOSK_REQUIRE_STRACE=1`` makes a
missing strace a failure instead of a skip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kiosk.rig import Rig, wait_for

BROKEN = str(Path(__file__).with_name("broken_daemon.py"))
STRACE = (
    # -D: the tracer is the one in the background, so that signals and exit codes are the daemon's own.
    "strace", "-D", "-f", "-tt", "-y", "-s", "8192",
    "-e", "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg",
)  # fmt: skip
EXEC = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"

LINE = re.compile(r"(?P<task>\d+) +[\d:.]+ (?P<rest>.*)")
CALL = re.compile(r"(?P<name>\w+)\((?P<fd>\d+)<(?P<file>.*?)>(?P<rest>[,) ].*)")
RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call: ``begun`` and ``ended`` are places in the order in which the tracer saw things happen."""

    begun: int
    ended: int
    name: str
    file: str
    text: str

    @property
    def to_socket(self) -> bool:
        return self.file.startswith(("socket:", "TCP", "UNIX")) and self.name not in ("fdatasync", "fsync")

    @property
    def succeeded(self) -> bool:
        return re.search(r"= \d+$", self.text) is not None


def why_no_trace() -> str | None:
    """Why system calls cannot be traced here; null when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed (Debian and Ubuntu: apt install strace)"
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else None


def calls_of(trace: str) -> list[Call]:
    """A trace of ``strace -f -tt -y`` as calls. One that another task's line interrupted stands in two lines."""
    calls: list[Call] = []
    unfinished: dict[str, tuple[int, str]] = {}
    for place, line in enumerate(trace.splitlines()):
        if (found := LINE.match(line)) is None:
            continue
        task, rest = found["task"], found["rest"]
        begun = place
        if (resumed := RESUMED.match(rest)) and task in unfinished:
            begun, start = unfinished.pop(task)
            rest = start + resumed["rest"]
        elif rest.endswith("<unfinished ...>"):
            unfinished[task] = (place, rest.removesuffix("<unfinished ...>"))
            continue
        if call := CALL.match(rest):
            calls.append(Call(begun=begun, ended=place, name=call["name"], file=call["file"], text=call["rest"]))
    return calls


def order_broken(calls: list[Call], item_id: str) -> list[str]:
    """What was done for this item before it was durable; empty when the order is right."""
    log = [call for call in calls if call.file.endswith("ledger.sqlite-wal") and call.succeeded]
    recorded = [call for call in log if call.name == "pwrite64" and item_id in call.text]
    assert recorded, "the record was not seen on its way into the log"
    flushes = [call for call in log if call.name in ("fdatasync", "fsync") and call.begun > recorded[0].ended]
    durable = flushes[0].ended if flushes else None

    sent = [call for call in calls if call.to_socket]
    shown = [call for call in sent if item_id in call.text]
    assert any("credited" in call.text for call in shown), "the credit was not seen on its way to the screen"
    unlocked = next(call.begun for call in sent if "out 26 1" in call.text)
    turned = [call for call in sent if call.begun > unlocked and re.search(r"out (12|18) 1", call.text)]
    assert turned, "the gate's motor was not seen to be switched on"

    found = []
    if durable is None or shown[0].begun < durable:
        found.append("shown before it was durable")
    if durable is None or turned[0].begun < durable:
        found.append("tipped before it was durable")
    return found


def traced_deposit(folder: Path, *daemon: str) -> list[str]:
    """What one deposit through the daemon, traced, does in the wrong order. ``daemon``: arguments for Python."""
    if reason := why_no_trace():
        (pytest.fail if os.environ.get("KIOSK_REQUIRE_STRACE") == "1" else pytest.skip)(reason)
    trace = folder / "trace"
    rig = Rig(folder)
    try:
        rig.start_world()
        rig.enrol()
        rig.start_daemon("-c", EXEC, *STRACE, "-o", str(trace), sys.executable, *daemon, "--config", str(rig.config))
        rig.wait_open()
        rig.deposit("aa")
        wait_for(lambda: rig.screen.credits() != {}, "the credit on the screen")
        rig.wait_status("the tip", lambda status: status["phase"] in ("accepting", "idle"))
        wait_for(lambda: len(rig.credited()) == 1, "the points on the server")
        ((item_id, _),) = rig.credited().items()
        pid = rig.processes["daemon"].pid
        assert rig.end("daemon") == 0
        ended = re.compile(rf"^{pid} .*\+\+\+ exited", re.MULTILINE)
        wait_for(lambda: ended.search(trace.read_text(errors="replace")) is not None, "the end of the trace")
    finally:
        rig.close()
    return order_broken(calls_of(trace.read_text(errors="replace")), item_id)


def test_the_log_is_flushed_before_the_credit_is_shown_and_before_the_gate_turns(tmp_path: Path) -> None:
    assert traced_deposit(tmp_path, "-m", "kiosk.cli", "run") == []


def test_the_trace_tells_a_daemon_that_does_not_flush(tmp_path: Path) -> None:
    broken = traced_deposit(tmp_path, BROKEN, "unflushed", "run")
    assert broken == ["shown before it was durable", "tipped before it was durable"]


def test_the_trace_tells_a_daemon_that_shows_and_tips_early(tmp_path: Path) -> None:
    broken = traced_deposit(tmp_path, BROKEN, "early=1", "run")
    assert broken == ["shown before it was durable", "tipped before it was durable"]


def test_a_call_that_another_thread_interrupts_ends_where_it_is_resumed() -> None:
    calls = calls_of(
        "7 10:00:00.000001 fdatasync(9</s/ledger.sqlite-wal> <unfinished ...>\n"
        '8 10:00:00.000002 sendto(5<socket:[42]>, "credited", 8, 0, NULL, 0) = 8\n'
        "7 10:00:00.000003 <... fdatasync resumed>) = 0\n"
    )
    assert [(call.name, call.begun, call.ended, call.succeeded, call.to_socket) for call in calls] == [
        ("sendto", 1, 1, True, True),
        ("fdatasync", 0, 2, True, False),
    ]
