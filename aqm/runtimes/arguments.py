"""Command lines: building them, and what it means when a CLI does not know a word of ours."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Sequence

from aqm.flow.outcome import Failure, FailureClass
from aqm.runtimes.base import Prompt
from aqm.runtimes.diagnosis import Trouble
from aqm.runtimes.mcp import McpError

__all__ = ["flagged", "not_prepared", "toml", "unknown_flag", "with_system"]

_UNKNOWN = re.compile(
    r"(?:unknown (?:option|argument)s?|unexpected argument):?\s+'?(-{0,2}[A-Za-z][\w-]*)", re.IGNORECASE
)


def flagged(flag: str, value: str | None) -> list[str]:
    return [] if value is None else [flag, value]


def toml(text: str) -> str:
    """The text as a TOML string: JSON's escapes are TOML's too, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def with_system(prompt: Prompt) -> str:
    """The message with the system text before it, for a CLI that takes none."""
    return f"{prompt.system}\n\n---\n\n{prompt.text}" if prompt.system else prompt.text


def unknown_flag(name: str, complaint: str, flags: Sequence[str]) -> Trouble | None:
    """A flag that the CLI refuses: of ours, then it is too old; or of the pipeline's `cli_flags`."""
    found = _UNKNOWN.search(complaint)
    if not found:
        return None
    flag = found[1].lstrip("-")
    if any(word.lstrip("-").split("=")[0] == flag for word in flags):
        return Trouble(FailureClass.CRASH, f"{name} does not know the flag --{flag} of the agent's cli_flags")
    return Trouble(FailureClass.CLI_TOO_OLD, f"this version of {name} does not know --{flag}")


def not_prepared(error: McpError | OSError) -> Failure:
    """The failure of a turn whose files could not be written, or whose MCP servers lack a value."""
    if isinstance(error, McpError):
        return Failure(FailureClass.AUTH, str(error))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    kind = FailureClass.DISK_FULL if full else FailureClass.CRASH
    return Failure(kind, f"the turn's private files cannot be written: {error.strerror or error}")
