"""How long a server asks its callers to stay away (RFC 9110, 10.2.3)."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping

from sync.wire import header_of

RETRY_AFTER_MS_MAX = 3_600_000
"""Nobody, not even a proxy in between, silences a bin for longer than this."""


def retry_after_ms(headers: Mapping[str, str]) -> int:
    """Retry-After in seconds or as a date (RFC 9110, 10.2.3), 0 without one.

    A date counts from the answer's own Date: the bin's clock may be years off.
    """
    text = header_of(headers, "retry-after").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1_000, RETRY_AFTER_MS_MAX)
    try:
        until = email.utils.parsedate_to_datetime(text)
        wait = until - email.utils.parsedate_to_datetime(header_of(headers, "date"))
    except (TypeError, ValueError, OverflowError):
        return 0
    return min(max(int(wait.total_seconds() * 1_000), 0), RETRY_AFTER_MS_MAX)
