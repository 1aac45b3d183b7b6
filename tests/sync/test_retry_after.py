from __future__ import annotations

import pytest

from sync.retry_after import RETRY_AFTER_MS_MAX, retry_after_ms

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),
        ({"Retry-After": "120"}, 120_000),
        ({"RETRY-AFTER": " 0 "}, 0),
        ({"Retry-After": "9" * 5_000}, RETRY_AFTER_MS_MAX),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "²"}, 0),
        ({"Retry-After": "soon", "Date": DATE}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:51:37 GMT"}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:51:37 GMT", "Date": DATE}, 120_000),
        ({"Retry-After": "Sun, 06 Nov 1994 08:51:37 -0000", "Date": DATE}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Sun, 06 Nov 2094 08:00:00 GMT", "Date": DATE}, RETRY_AFTER_MS_MAX),
        ({"Retry-After": "Sun, 06 Nov 99999999999 08:00:00 GMT", "Date": DATE}, 0),
    ],
)
def test_seconds_and_dates_count_from_the_answers_own_date(headers: dict[str, str], expected: int) -> None:
    assert retry_after_ms(headers) == expected
