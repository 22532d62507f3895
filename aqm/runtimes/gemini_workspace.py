"""What the files of a repository could make gemini do: it runs headless only in folders that it trusts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["KEPT_EMPTY", "commands_in"]

# It would take these from the repository's .env, where the environment does not have them already: another
# address for the key to go to, or code to load. An empty value counts as set, and means nothing to it.
KEPT_EMPTY = (
    "CODE_ASSIST_ENDPOINT",
    "GEMINI_SANDBOX",
    "GEMINI_SYSTEM_MD",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_OPTIONS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "https_proxy",
    "http_proxy",
)
_COMMANDS = frozenset(
    {"callCommand", "discoveryCommand", "serverCommand", "toolCallCommand", "toolDiscoveryCommand"}
)
_COMMENT = re.compile(r"(?:^|\s)//[^\n]*|/\*.*?\*/", re.DOTALL)


def commands_in(workspace: Path) -> list[str]:
    """The repository's settings that start commands by themselves; a flag keeps its MCP servers out."""
    path = workspace / ".gemini" / "settings.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        return ["as far as one can tell: it cannot be read"]
    try:
        settings = json.loads(_COMMENT.sub("", text))
    except (ValueError, RecursionError):
        return ["as far as one can tell: it cannot be read"]
    return sorted(set(_commands(settings))) if isinstance(settings, dict) else []


def _commands(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if (key == "hooks" or key in _COMMANDS) and value:
            yield f"{prefix}{key}"
        elif isinstance(value, dict) and not prefix:
            yield from _commands(value, f"{key}.")
