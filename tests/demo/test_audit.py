from __future__ import annotations

from dataclasses import replace

from kiosk.simulator.demo.audit import Facts, Kept, Posting, audit, posted_from
from kiosk.simulator.demo.witness import Fall, ShownCredit

MS = 1_000_000


def facts() -> Facts:
    """Three falls: one credited and shown, one credited while the power went, one that came to nothing."""
    return Facts(
        falls=[Fall(fall_id=n, kind="aa", at_ns=n * 10_000 * MS) for n in (1, 2, 3)],
        shown=[ShownCredit(item_id="first", points=10, at_ns=11_000 * MS)],
        kept=[
            Kept(item_id="first", points=10, at_ms=10_990, waits=False),
            Kept(item_id="second", points=10, at_ms=21_000, waits=False),
        ],
        posted=[Posting(item_id="first", points=10), Posting(item_id="second", points=10)],
    )


def test_a_whole_run_has_no_problem():
    verdict = audit(facts())
    assert verdict.problems == []
    assert verdict.credited == 2


def test_a_shown_credit_that_is_in_no_account_is_lost():
    verdict = audit(replace(facts(), posted=facts().posted[1:]))
    assert list(verdict.lost) == ["first"]


def test_a_kept_deposit_that_nobody_saw_is_lost_all_the_same():
    verdict = audit(replace(facts(), posted=facts().posted[:1]))
    assert list(verdict.lost) == ["second"]


def test_what_is_pending_or_held_is_not_lost():
    kept = [replace(facts().kept[0], waits=True), facts().kept[1]]
    verdict = audit(replace(facts(), kept=kept, posted=facts().posted[1:]))
    assert verdict.problems == []


def test_less_than_was_shown_is_lost_and_more_is_doubled():
    less = audit(replace(facts(), posted=[Posting(item_id="first", points=9), facts().posted[1]]))
    more = audit(replace(facts(), posted=[Posting(item_id="first", points=11), facts().posted[1]]))
    assert list(less.lost) == ["first"]
    assert list(more.duplicates) == ["first"]


def test_a_second_posting_is_a_duplicate():
    verdict = audit(replace(facts(), posted=[*facts().posted, facts().posted[0]]))
    assert list(verdict.duplicates) == ["first"]


def test_a_posting_that_the_bin_does_not_know_is_a_duplicate():
    verdict = audit(replace(facts(), posted=[*facts().posted, Posting(item_id="foreign", points=10)]))
    assert list(verdict.duplicates) == ["foreign"]


def test_two_credits_for_one_fall_are_a_duplicate_even_under_two_item_ids():
    again = Kept(item_id="again", points=10, at_ms=12_000, waits=False)
    posted = [*facts().posted, Posting(item_id="again", points=10)]
    verdict = audit(replace(facts(), kept=[*facts().kept, again], posted=posted))
    assert list(verdict.duplicates) == ["again"]


def test_a_credit_before_anything_fell_is_a_duplicate():
    early = Kept(item_id="early", points=10, at_ms=5_000, waits=True)
    verdict = audit(replace(facts(), kept=[*facts().kept, early]))
    assert list(verdict.duplicates) == ["early"]


def test_a_credit_on_the_screen_that_the_ledger_does_not_hold_was_shown_too_early():
    verdict = audit(replace(facts(), kept=facts().kept[1:]))
    assert list(verdict.shown_not_kept) == ["first"]


def test_the_programmes_own_side_of_a_posting_is_no_payment():
    lines = [
        {"item_id": "first", "account": "programme", "points": -10},
        {"item_id": "first", "account": "em4100:ref", "points": 10},
    ]
    assert posted_from({"journal": lines}) == [Posting(item_id="first", points=10)]
