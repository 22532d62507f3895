"""What complaints mean; those that recordings do not hold."""

from __future__ import annotations

import time

import pytest

from aqm.flow.outcome import FailureClass
from aqm.runtimes.diagnosis import by_status, diagnose, resets_in

F = FailureClass
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Claude AI usage limit reached|1700003600", F.RATE_LIMITED),
        ("You've hit your session limit · resets 3pm", F.RATE_LIMITED),
        ("You've hit your usage limit. Try again in 3 days 4 hours 5 minutes.", F.RATE_LIMITED),
        ("Your credit balance is too low to access the API", F.AUTH),
        ("OAuth token has expired. Please run /login", F.AUTH),
        ("Your access token could not be refreshed. Please log in again.", F.AUTH),
        ("getaddrinfo ENOTFOUND api.example.com", F.OVERLOADED),
        ("The model is overloaded. Please try again later.", F.OVERLOADED),
        ("This model's maximum context length is 128000 tokens", F.CONTEXT_OVERFLOW),
        ("The 'gpt-x' model is not supported when using Codex with a ChatGPT account.", F.MODEL_UNKNOWN),
        ("write /tmp/x: ENOSPC: no space left on device", F.DISK_FULL),
        ("unexpected status 502 Bad Gateway", F.OVERLOADED),
    ],
)
def test_a_message_has_its_class(message: str, kind: FailureClass) -> None:
    trouble = diagnose(message, NOW)
    assert trouble is not None
    assert trouble.kind is kind
    assert trouble.message == message


@pytest.mark.parametrize("message", ["", "assertion failed", "TypeError: x is undefined"])
def test_a_message_that_says_nothing_known_has_none(message: str) -> None:
    assert diagnose(message, NOW) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, None),
        (401, F.AUTH),
        (403, F.AUTH),
        (404, F.MODEL_UNKNOWN),
        (413, F.CONTEXT_OVERFLOW),
        (429, F.RATE_LIMITED),
        (500, F.OVERLOADED),
        (529, F.OVERLOADED),
        (None, None),
    ],
)
def test_a_status_has_its_class(status: int | None, kind: FailureClass | None) -> None:
    assert by_status(status) is kind


def test_a_status_decides_before_the_words() -> None:
    trouble = diagnose("rate limit service is down", NOW, status=503)
    assert trouble is not None
    assert trouble.kind is F.OVERLOADED


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("usage limit reached|1700003600", 3600.0),
        ("usage limit reached|1600000000", 0.0),
        ("Suggested retry after 600s.", 600.0),
        ("Please retry in 34.07s.", 34.07),
        ('"retryDelay":"34s"', 34.0),
        ("Rate limit reached. Please try again in 1.5s. Visit …", 1.5),
        ("try again in 20ms", 0.02),
        ("Try again in 3 days 4 hours 5 minutes.", 3 * 86400 + 4 * 3600 + 5 * 60.0),
        ("try again in 2 hours and 10 minutes", 7800.0),
        ("resets 3pm", None),
        ("try again later", None),
        ("try again in 5 attempts", None),
    ],
)
def test_a_message_tells_when_to_come_back(message: str, seconds: float | None) -> None:
    assert resets_in(message, NOW) == (pytest.approx(seconds) if seconds is not None else None)


def test_a_long_message_takes_little_time() -> None:
    began = time.process_time()
    for text in ("try again in " + "1 hour " * 100_000, "model " * 200_000, "status " * 200_000):
        diagnose(text, NOW)
        resets_in(text, NOW)
    assert time.process_time() - began < 2
