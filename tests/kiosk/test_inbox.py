"""A full inbox stops nobody and is never silent."""

from kiosk.inbox import Inbox


def test_events_come_out_in_order_and_none_means_none() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put("a", 1)
    inbox.put("b", 2)
    assert [inbox.get(0), inbox.get(0), inbox.get(0), inbox.get(0.001)] == [1, 2, None, None]
    assert inbox.lossy_sources() == []


def test_a_full_inbox_never_raises_and_names_who_lost_events_once() -> None:
    inbox: Inbox[int] = Inbox(events_max=2)
    for number in range(4):
        inbox.put("pins" if number % 2 else "scale", number)
    assert inbox.lossy_sources() == ["pins", "scale"]
    assert inbox.lossy_sources() == []
    assert [inbox.get(0), inbox.get(0), inbox.get(0)] == [0, 1, None]


def test_an_answer_to_the_loop_is_taken_by_a_full_inbox() -> None:
    """A dropped "Appended" would leave a deposit committed and never shown."""
    inbox: Inbox[int] = Inbox(events_max=1)
    inbox.put("pins", 1)
    inbox.answer(2)
    assert inbox.lossy_sources() == []
    assert [inbox.get(0), inbox.get(0)] == [1, 2]
