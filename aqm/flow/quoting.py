"""Foreign text inside a prompt of ours, fenced so that it cannot pose as a part of it."""

from __future__ import annotations

import re

__all__ = ["fenced"]

_RUNS = re.compile(r"`{3,}")


def fenced(text: str, name: str) -> str:
    """The text between fences longer than any row of backticks in it; `name` tells the reader what it is."""
    longest = max((len(run) for run in _RUNS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{name}\n{text}\n{fence}"
