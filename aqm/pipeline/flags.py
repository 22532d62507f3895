"""The flags by which an agent CLI may do more than its `permissions` say."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["WIDENING", "widening_flags"]

WIDENING: dict[str, tuple[str, ...]] = {
    "claude": (
        "--add-dir",
        "--agents",
        "--allow-dangerously-skip-permissions",
        "--allowed-tools",
        "--allowedTools",
        "--dangerously-skip-permissions",
        "--mcp-config",
        "--permission-mode",
        "--permission-prompt-tool",
        "--plugin-dir",
        "--setting-sources",
        "--settings",
        "--tools",
    ),
    "gemini": (
        "-e",
        "-s",
        "-y",
        "--allowed-mcp-server-names",
        "--allowed-tools",
        "--approval-mode",
        "--extensions",
        "--include-directories",
        "--policy",
        "--sandbox",
        "--skip-trust",
        "--yolo",
    ),
    "codex": (
        "-a",
        "-c",
        "-C",
        "-p",
        "-s",
        "--add-dir",
        "--ask-for-approval",
        "--cd",
        "--config",
        "--dangerously-bypass-approvals-and-sandbox",
        "--enable",
        "--full-auto",
        "--profile",
        "--sandbox",
        "--yolo",
    ),
}
_ALL = tuple(sorted({flag for flags in WIDENING.values() for flag in flags}))


def widening_flags(runtime: str, flags: Sequence[str], allowed: Collection[str] = ()) -> tuple[str, ...]:
    """Those of `flags` that widen permissions and are not `allowed`; an unknown runtime may mean any of them.

    `--flag=value`, and a short flag with its value behind it (`-sdanger`), are found, too. `allowed` takes a
    flag alone, or with one value: `--sandbox=read-only`.
    """
    widening = WIDENING.get(runtime, _ALL)
    found = [flag for flag in flags if _name(flag) in widening and flag not in allowed]
    return tuple(dict.fromkeys(_name(flag) for flag in found if _name(flag) not in allowed))


def _name(flag: str) -> str:
    if flag.startswith("--"):
        return flag.split("=", 1)[0]
    return flag[:2] if flag.startswith("-") else ""
