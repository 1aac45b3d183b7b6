import json
import re
from typing import Any, get_args

import pytest

from kiosk.core import machine, senses
from kiosk.core.view import Hint, Screen
from kiosk.screen.server import STATIC

SENTENCES: dict[str, Any] = json.loads((STATIC / "sentences.json").read_text(encoding="utf-8"))

GENERAL = {*get_args(Hint), *get_args(senses.Stuck)} - {"card_reader"}
"""What is said with the same words wherever it is said."""
REASONS = {
    *(("closed", code) for code in get_args(senses.Closed) if code not in GENERAL),
    *(("hazard", code) for code in get_args(senses.Danger)),
    *(("refused", code) for code in get_args(machine.Refused) if code != "accepted"),
    ("idle", "card_reader"),
    *(("any", code) for code in GENERAL),
}
"""Every code that the core can give, from its own types; each is played in tests/core/test_view.py."""


def both(entry: dict[str, Any]) -> list[dict[str, str]]:
    assert entry.keys() == {"zh", "en"}
    return [entry["zh"], entry["en"]]


@pytest.mark.parametrize(("table", "code"), sorted(REASONS))
def test_every_reason_has_a_headline_and_a_sentence_in_both_languages(table: str, code: str) -> None:
    for said in both(SENTENCES["reasons"][table][code]):
        assert said.keys() == {"headline", "text"}
        assert said["headline"].strip()
        assert said["text"].strip()


def test_the_table_has_no_reason_that_nobody_gives() -> None:
    listed = [(table, code) for table, codes in SENTENCES["reasons"].items() for code in codes]
    assert sorted(listed) == sorted(REASONS)


@pytest.mark.parametrize("screen", [*get_args(Screen), "lost", "unpaid"])
def test_every_screen_has_a_general_sentence_in_both_languages(screen: str) -> None:
    for said in both(SENTENCES["screens"][screen]):
        assert said["headline"].strip()
        assert said["text"].strip()


def test_both_languages_have_the_same_labels_with_the_same_gaps() -> None:
    zh, en = both(SENTENCES["labels"])
    assert zh.keys() == en.keys()
    for name in zh:
        assert sorted(re.findall(r"\{\w+\}", zh[name])) == sorted(re.findall(r"\{\w+\}", en[name])), name


def test_chinese_is_chinese_and_english_is_english() -> None:
    entries = [*SENTENCES["screens"].values(), *(e for t in SENTENCES["reasons"].values() for e in t.values())]
    for entry in entries:
        zh, en = both(entry)
        for part in ("headline", "text"):
            assert re.search(r"[\u4e00-\u9fff]", zh[part])
            assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", en[part])


def test_no_sentence_shows_a_code() -> None:
    assert not re.search(r"[a-z]_[a-z]", json.dumps([e for t in SENTENCES["reasons"].values() for e in t.values()]))
