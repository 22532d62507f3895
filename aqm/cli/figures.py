"""Times, durations and tokens, as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

from aqm.flow.outcome import Usage

__all__ = ["ago", "clock", "count", "dollars", "duration", "iso", "spent", "tokens"]


def iso(at: float | None) -> str | None:
    """ISO 8601 in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: float) -> str:
    """The local time, to the second."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ago(at: float, now: float) -> str:
    passed = max(now - at, 0)
    for limit, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if passed >= limit:
            return f"{passed // limit:.0f} {unit} ago"
    return f"{passed:.0f} s ago"


def tokens(usage: Usage) -> int | None:
    """All that was read and written; None when nobody said."""
    known = [figure for figure in (usage.input, usage.output) if figure is not None]
    return sum(known) if known else None


def count(figure: int) -> str:
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if figure >= limit:
            return f"{figure / limit:.1f}{unit}"
    return str(figure)


def dollars(cost: float) -> str:
    return f"${cost:.2f}" if cost >= 0.1 else f"${cost:.4f}"


def spent(usage: Usage) -> list[str]:
    """The parts of a summary that tell what it took: tokens and money, where they are known."""
    total = tokens(usage)
    parts = [] if total is None else [f"{count(total)} tokens"]
    return parts if usage.cost_usd is None else [*parts, dollars(usage.cost_usd)]
