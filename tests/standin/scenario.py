"""What a vendor may answer, in words that hold for every vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Cut",
    "Give",
    "Hang",
    "Recorded",
    "Refuse",
    "Replies",
    "Reply",
    "RunCommand",
    "Say",
    "Stall",
    "Tokens",
    "WriteFile",
]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the vendor says that one request used."""

    input: int = 12
    output: int = 5
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Say:
    """An answer in text; the model is done."""

    text: str
    thinking: str = ""
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class WriteFile:
    """The model asks the CLI to write a file."""

    path: str
    content: str
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class RunCommand:
    """The model asks the CLI to run a shell command."""

    command: str
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Give:
    """The model gives the structured output that the CLI asked it for."""

    fields: Mapping[str, Any]
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Refuse:
    """An HTTP error: 401, 429 (with `retry_after` in seconds), 500, 529 …"""

    status: int
    retry_after: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Hang:
    """The request is taken, and not one byte comes back."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The stream begins with `text` and falls silent; the connection stays open."""

    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream begins with `text`, and the connection is closed in the middle."""

    text: str


Reply = Say | WriteFile | RunCommand | Give | Refuse | Hang | Stall | Cut


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came. `asks` is False for requests that are not a turn of the model."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    asks: bool


# in order, the last one for ever; or chosen by looking at the request
Replies = Sequence[Reply] | Callable[[Recorded], Reply]
