"""What a CLI's complaint means: its class of failure, and when it may be tried again."""

from __future__ import annotations

import re
from typing import NamedTuple

from aqm.flow.outcome import FailureClass

__all__ = ["Trouble", "by_status", "by_text", "diagnose", "resets_in", "status_of"]


_LOOKED_AT = 10_000  # characters of a message; what it is about stands at its start


class Trouble(NamedTuple):
    kind: FailureClass
    message: str
    resets_in: float | None = None


_PATTERNS: tuple[tuple[FailureClass, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (FailureClass.DISK_FULL, r"ENOSPC|no space left on device|disk quota exceeded"),
        (
            FailureClass.CONTEXT_OVERFLOW,
            r"prompt is too long|ran out of room in the model|exceeds the maximum number of tokens"
            r"|context[_ ](?:length|window)|input_too_large|exceeds the maximum length",
        ),
        (
            FailureClass.MODEL_UNKNOWN,
            r"\bmodels?\b.{0,120}(?:does not exist|not found|is not supported|may not exist)"
            r"|model_not_found|issue with the selected model",
        ),
        (
            FailureClass.RATE_LIMITED,
            r"rate.?limit|\b429\b|too many requests|quota|usage limit|resource.?exhausted|session limit"
            r"|limit reached|hit your limit",
        ),
        (
            FailureClass.AUTH,
            r"authenticat|api key|api_key|not logged in|log ?in again|missing environment variable|oauth"
            r"|unauthorized|credit balance|billing|\b40[13]\b|refresh token",
        ),
        (
            FailureClass.OVERLOADED,
            r"overloaded|high demand|\b5\d\d\b|fetch failed|connection (?:refused|failed|error|reset)"
            r"|ECONN|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|terminated|stream disconnected|timed? ?out|network"
            r"|socket hang up|internal (?:server )?error|service unavailable|at capacity",
        ),
    )
)
_STATUS = re.compile(
    r"""(?:\bstatus\b|"code"|\berror\b|\bAPI Error\b)\W{0,6}(?:code\W{0,4})?([1-5]\d\d)\b""", re.IGNORECASE
)
_EPOCH = re.compile(r"\|(\d{10})\b")
_AFTER = re.compile(
    r"(?:retry|try again|resets?|retryDelay)\W{0,6}(?:after|in)?\W{0,4}"
    r"((?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)\b"
    r"[\s,]*(?:and\s+)?){1,4})",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|d|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


def by_status(status: int | None) -> FailureClass | None:
    """The class of an HTTP status; 400 says nothing, its message does."""
    match status:
        case 401 | 402 | 403:
            return FailureClass.AUTH
        case 404:
            return FailureClass.MODEL_UNKNOWN
        case 413:
            return FailureClass.CONTEXT_OVERFLOW
        case 429:
            return FailureClass.RATE_LIMITED
        case 408:
            return FailureClass.OVERLOADED
        case int() if status >= 500:
            return FailureClass.OVERLOADED
        case _:
            return None


def by_text(text: str) -> FailureClass | None:
    """The class of a vendor's or CLI's message; the more certain signs come first."""
    text = text[:_LOOKED_AT]
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None)


def status_of(text: str) -> int | None:
    """The HTTP status that a message names."""
    found = _STATUS.search(text[:_LOOKED_AT])
    return int(found[1]) if found else None


def resets_in(text: str, now: float) -> float | None:
    """Seconds until the vendor's limit resets, where the message says it; `now` is the wall clock."""
    text = text[:_LOOKED_AT]
    if epoch := _EPOCH.search(text):
        return max(0.0, float(epoch[1]) - now)
    after = _AFTER.search(text)
    if after is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(after[1]))


def diagnose(message: str, now: float, *, status: int | None = None) -> Trouble | None:
    """The trouble that a message tells of; None when it tells of none we know."""
    certain = by_text(message)
    if certain in (FailureClass.CONTEXT_OVERFLOW, FailureClass.DISK_FULL, FailureClass.MODEL_UNKNOWN):
        kind: FailureClass | None = certain
    else:
        kind = by_status(status or status_of(message)) or certain
    if kind is None:
        return None
    limited = kind in (FailureClass.RATE_LIMITED, FailureClass.OVERLOADED)
    return Trouble(kind, message, resets_in(message, now) if limited else None)
