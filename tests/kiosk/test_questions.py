"""Whatever a technician asks the daemon, a typo or nonsense, is answered with a sentence; the bin goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kiosk.control_socket import ask
from tests.kiosk.rig import WAIT_S, Rig, wait_for, whole_bin


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with whole_bin(tmp_path_factory.mktemp("bin")) as rig:
        yield rig


def generation(rig: Rig) -> str:
    overview = rig.journal()
    assert overview is not None
    return str(overview["records"][0]["generation"])


def goes_on(rig: Rig) -> bool:
    status = rig.status()
    return status is not None and bool(status["open"]) and rig.processes["daemon"].poll() is None


@pytest.mark.parametrize("ref", ["nosuch", "", "a:1", "{generation}:0", "{generation}:" + "9" * 23, "a:" + "9" * 5_000])
def test_a_record_that_there_is_not_is_said_and_the_daemon_goes_on(rig: Rig, ref: str) -> None:
    asked = ref.format(generation=generation(rig))
    assert "no record" in rig.kiosk("ledger", "show", asked, code=1)
    assert goes_on(rig)


@pytest.mark.parametrize(
    "question",
    [
        {"ask": "sing"},
        {},
        {"ask": "show", "ref": 7},
        {"ask": "list", "kind": None, "limit": 10**30},
        {"ask": "list", "kind": 5, "limit": 1},
        {"ask": "verify"},
        {"ask": "verify", "after": -1},
        {"ask": "verify", "after": 2**63},
    ],
)
def test_a_question_that_makes_no_sense_is_said_and_the_daemon_goes_on(rig: Rig, question: dict[str, Any]) -> None:
    reply = ask(rig.folder / "run" / "control.sock", {"do": "ledger", **question})
    assert "does not know how to answer" in reply["error"]
    assert goes_on(rig)


@pytest.mark.parametrize("line", [b"\xff\xfe{]\n", b"[1]\n", b"{}\n", b"\n"])
def test_bytes_that_are_no_question_are_said_and_the_daemon_goes_on(rig: Rig, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as hand:
        hand.settimeout(WAIT_S)
        hand.connect(str(rig.folder / "run" / "control.sock"))
        hand.sendall(line)
        assert b"error" in hand.makefile("rb").readline()
    assert goes_on(rig)


def test_a_bin_that_was_asked_nonsense_still_records(rig: Rig) -> None:
    rig.kiosk("ledger", "show", "nosuch", code=1)
    rig.deposit("aa")
    wait_for(lambda: len(rig.credited()) == 1, "the points on the server")
    assert "0 problems" in rig.kiosk("ledger", "verify")
