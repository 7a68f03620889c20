"""The meaning of the error texts and statuses of clients and their services: one taxonomy for all of them."""

import re
import time

from autoloop.core.session import SessionFailure

KnownError = tuple[SessionFailure, str, float | None]
"""A failure, the words that told it, and when to come back in Unix seconds."""
_WORDS: tuple[tuple[SessionFailure, str], ...] = (
    (
        SessionFailure.OUT_OF_QUOTA,
        r"insufficient_quota|quota exceeded|exceeded your (current )?quota|credit balance|usage limit|billing|"
        r"hit your \w+ limit|"
        r"out of credits?|payment required|spend(ing)? limit",
    ),
    (
        SessionFailure.CONTEXT_TOO_LONG,
        r"context.?(length|window)|(?<!took )too long|maximum context|ContextOverflow|too many tokens",
    ),
    (
        SessionFailure.NOT_SIGNED_IN,
        r"not logged in|invalid api key|invalid x-api-key|authentication|unauthorized|please run /login|"
        r"api key (is )?(missing|not)|missing.{0,20}(api.?key|environment variable)|permission_error|forbidden|"
        r"incorrect api key|token (has )?expired",
    ),
    (SessionFailure.RATE_LIMITED, r"rate.?limit|too many requests"),
    (SessionFailure.OVERLOADED, r"overloaded|high demand|service unavailable|internal server error|bad gateway"),
    (
        SessionFailure.UNREACHABLE,
        r"unable to connect|connection ?refused|econnrefused|econnreset|enotfound|network error|waiting for network|"
        r"model.{0,40}(not found|does not exist|not exist)|unknown model|not_found_error|fetch failed|"
        r"error sending request|unable to reach",
    ),
    (SessionFailure.REFUSED, r"refus(al|ed to)|content (filtering )?policy|violates"),
    (SessionFailure.IDLE, r"timed? ?out|timeout|\bidle"),
    (
        SessionFailure.MALFORMED,
        r"malformed|invalid json|unexpected (token|end)|empty response|parse|stream disconnected",
    ),
)
_STATUSES = {
    401: SessionFailure.NOT_SIGNED_IN,
    402: SessionFailure.OUT_OF_QUOTA,
    403: SessionFailure.NOT_SIGNED_IN,
    404: SessionFailure.UNREACHABLE,
    408: SessionFailure.IDLE,
    413: SessionFailure.CONTEXT_TOO_LONG,
    429: SessionFailure.RATE_LIMITED,
}
_STATUS = re.compile(r"\b(?:status|HTTP|error|code)\D{0,12}([45]\d\d)\b", re.IGNORECASE)
_EPOCH = re.compile(r"\b(1[6-9]\d{8}|2\d{9})\b")
_AFTER = re.compile(
    r"(?:try again|retry|retry-after|resets?)\D{0,20}?(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|hour)", re.IGNORECASE
)
_O_CLOCK = re.compile(
    r"try again at (?:(?P<day>[A-Z][a-z]{2} \d{1,2})\w\w, (?P<year>\d{4}) )?(?P<time>\d{1,2}:\d\d [AP]M)"
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def failure_of(status: int | None, said: str, now: float | None = None) -> KnownError | None:
    """The failure that a status and the words beside it stand for; None when they are not known.

    Quota and length of context come with the statuses of other failures, so these words are looked for first.
    """
    if status is None and (found := _STATUS.search(said)):
        status = int(found[1])
    spoken = next((failure for failure, words in _WORDS if re.search(words, said, re.IGNORECASE)), None)
    first = (SessionFailure.OUT_OF_QUOTA, SessionFailure.CONTEXT_TOO_LONG)
    failure = spoken if spoken in first or status is None else _of_status(status) or spoken
    if failure is None:
        return None
    return failure, said.strip(), _moment(said, time.time() if now is None else now)


def _of_status(status: int) -> SessionFailure | None:
    return SessionFailure.OVERLOADED if status >= 500 else _STATUSES.get(status)


def _moment(said: str, now: float) -> float | None:
    """When a limit is over, in Unix seconds: services say it as a time, or as a wait."""
    if found := _EPOCH.search(said):
        return float(found[1])
    if found := _O_CLOCK.search(said):
        return _at_the_clock(found, now)
    if found := _AFTER.search(said):
        return now + float(found[1]) * _UNITS[found[2][0].lower()]
    return None


def _at_the_clock(found: re.Match[str], now: float) -> float | None:
    """Local time, as Codex tells it; without a day it is the next time that the clock shows it."""
    today = time.strftime("%b %d %Y", time.localtime(now))
    day = f"{found['day']} {found['year']}" if found["day"] else today
    try:
        moment = time.mktime(time.strptime(f"{day} {found['time']}", "%b %d %Y %I:%M %p"))
    except ValueError:
        return None
    return moment if moment > now or found["day"] else moment + 86_400
