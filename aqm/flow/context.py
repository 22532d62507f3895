"""What an agent is shown of the past, and what must be read of it, however long the past is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from aqm.flow.gate import Verdict
from aqm.pipeline.spec import ContextStrategy

__all__ = ["MAX_HEADLINES", "Need", "Past", "context", "headline", "need"]

MAX_HEADLINES = 100
_SHORT = 200  # characters of a headline
_SCANNED = 4_000  # characters searched for one

# An escape sequence of a terminal, or a character that shows nothing or turns the line around.
_UNSHOWN = re.compile(
    r"\x1b\[[0-?]{0,40}[ -/]{0,10}[@-~]|\x1b\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|\x1b."
    "|[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_FENCE = re.compile(r"[ \t]{0,3}(?:`{3,}|~{3,})")
_MARKS = " \t#>*_`~=|-+"
# What could pass for one of our own headings inside a stage's text.
_OUR_HEADING = re.compile(
    "(?:^|(?<=[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]))([ \t]*)"
    r"(#{1,6}[ \t]*(?:Stage[ \t]|Earlier stages|Your own earlier))",
    re.M | re.I,
)


@dataclass(frozen=True, slots=True)
class Past:
    """A stage that ended before; `text` is None where it was not read, because a headline will do."""

    number: int
    agent: str
    status: str
    headline: str
    text: str | None = None
    name: str = ""
    verdict: Verdict | None = None
    task: str = ""  # another task, which this one fixes; "" is this one

    @property
    def place(self) -> str:
        """The stage as it is named to a reader."""
        return f"{self.number} of {self.task}" if self.task else str(self.number)


@dataclass(frozen=True, slots=True)
class Need:
    """What a strategy shows, as numbers of stages from the newest back: so many in full, and of so many
    before those the headline. None means all. `own` counts the agent's own stages alone."""

    full: int | None = 0
    headlines: int | None = 0
    own_full: int | None = 0
    own_headlines: int | None = 0


def need(strategy: ContextStrategy, window: int) -> Need:
    """What has to be read for a context, so that its cost does not grow with the history."""
    full, headlines = (None, 0) if window == 0 else (window, MAX_HEADLINES)
    match strategy:
        case "none":
            return Need()
        case "last_only":
            return Need(full=1)
        case "shared":
            return Need(full=full, headlines=headlines)
        case "own":
            return Need(own_full=full, own_headlines=headlines)
        case "both":
            return Need(full, headlines, full, headlines)
        case never:
            assert_never(never)


def context(
    strategy: ContextStrategy,
    window: int,
    past: Sequence[Past],
    agent: str,
    *,
    total: int | None = None,
    own_total: int | None = None,
) -> str:
    """The Markdown that `{{ context }}` holds.

    `past` is what the branch saw before this stage, oldest first, at least as much of it as `need` says; the
    stage before is its last. `total` and `own_total` tell how many stages there were, where `past` is not
    all. The agent's own stages are bounded as the shared ones are: the last `window` in full, up to 100
    before them in a line each, then a count.
    """
    own = [stage for stage in past if stage.agent == agent]
    missing = max((total or 0) - len(past), 0)
    own_missing = max((own_total or 0) - len(own), 0)
    match strategy:
        case "none":
            return ""
        case "last_only":
            return _in_full(past[-1]) if past else ""
        case "shared":
            return _told("Earlier stages", past, window, missing)
        case "own":
            return _told("Your own earlier stages", own, window, own_missing)
        case "both":
            shared = _told("Earlier stages", past, window, missing)
            shown = {stage.place for stage in _newest(past, window)}
            rest = _told("Your own earlier stages", own, window, own_missing, shown)
            return "\n\n".join(part for part in (shared, rest) if part)
        case never:
            assert_never(never)


def _newest(past: Sequence[Past], window: int) -> Sequence[Past]:
    return past[-window:] if window else past


def _told(
    title: str,
    past: Sequence[Past],
    window: int,
    missing: int,
    shown: set[str] | frozenset[str] = frozenset(),
) -> str:
    """Oldest first: a count, one line each, then those in full; of those already `shown` only the place."""
    if not past:
        return ""
    newest = _newest(past, window)
    older = past[: len(past) - len(newest)]
    listed = older[-MAX_HEADLINES:]
    left_out = missing + len(older) - len(listed)
    lines = [f"(and {left_out} before these)"] if left_out else []
    lines += [_in_a_line(stage) for stage in listed]
    parts = [f"# {title}", "\n".join(lines)]
    parts += [
        f"(Stage {stage.place} stands above.)" if stage.place in shown else _in_full(stage)
        for stage in newest
    ]
    return "\n\n".join(part for part in parts if part)


def _in_a_line(stage: Past) -> str:
    return " · ".join(
        part for part in (f"- {stage.place}", stage.agent, stage.status, stage.headline) if part
    )


def _in_full(stage: Past) -> str:
    who = f"{stage.name} ({stage.agent})" if stage.name and stage.name != stage.agent else stage.agent
    parts = [f"## Stage {stage.place} · {who} · {stage.status}"]
    if stage.verdict:
        decision = "approved" if stage.verdict.approved else "rejected"
        parts.append(f"Gate: {decision}: {headline(stage.verdict.reason)}".rstrip(": "))
    text = stage.headline if stage.text is None else stage.text
    parts.append(_OUR_HEADING.sub(r"\1\\\2", text.strip()) or "(no output)")
    return "\n\n".join(parts)


def headline(text: str) -> str:
    """The first line that says something, cleaned for one line of a list, at most 200 characters."""
    for line in text[:_SCANNED].split("\n"):
        if _FENCE.match(line):
            continue
        shown = " ".join(_UNSHOWN.sub("", line).split()).strip(_MARKS)
        if any(character.isalnum() for character in shown):
            return shown if len(shown) <= _SHORT else shown[: _SHORT - 1].rstrip() + "…"
    return ""
