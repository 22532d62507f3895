"""Every error that aqm raises on purpose: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "AqmError",
    "ConflictError",
    "Fault",
    "NotFoundError",
    "PipelineError",
    "ProjectError",
    "RefusedError",
    "SettingsError",
    "StoreError",
    "UsageError",
    "did_you_mean",
]


class AqmError(Exception):
    """Something was asked that cannot be done."""

    exit_code = 1

    def __init__(self, message: str = "", *, cure: str = "") -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.cure = cure
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class UsageError(AqmError):
    """The command was called with words it does not take."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting has a value that it does not take."""


class ProjectError(UsageError):
    """There is no aqm project here. Create one with: aqm init"""


class NotFoundError(AqmError):
    """There is nothing of that name or id."""


class ConflictError(AqmError):
    """Somebody else decided first; nothing was changed."""


class RefusedError(AqmError):
    """The project's settings do not allow this."""


class StoreError(AqmError):
    """The database cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a pipeline document.

    `at` is the path inside the document (`agents[2].handoffs[0].to`); `line` and `column` count from 1.
    """

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    at: str = ""
    cure: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        where = " ".join(part for part in (place, self.at) if part)
        text = f"{self.message}; {self.cure}" if self.cure else self.message
        return f"{where}: {text}" if where else text


class PipelineError(AqmError):
    """The pipeline cannot be used as it is written."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A cure that names the nearest of `known`, or lists them all when none is near."""
    names = sorted({str(name) for name in known})
    if len(names) > 200:  # comparing takes a while
        names = [name for name in names if name[:1].lower() == str(word)[:1].lower()][:200]
    near = get_close_matches(str(word)[:80].lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    if near:
        name = next(name for name in names if name.lower() == near[0])
        return f"did you mean {name!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"known: {shown}"
