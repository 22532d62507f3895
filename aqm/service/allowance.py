"""Writing a consent into .aqm/config.yaml, with everything else in it left as it is, comments too."""

from __future__ import annotations

from typing import Any

import yaml

from aqm.errors import RefusedError
from aqm.service.project import Project

__all__ = ["allow"]


def allow(project: Project, setting: str, value: str) -> None:
    """Set `section.key` to true, or add the one word of `[value]` to the list `section.key`.

    The text is edited, then read again: unless exactly this has changed, nothing is written.
    """
    file = project.folder / "config.yaml"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    section, _, key = setting.partition(".")
    before = _read(text)
    after = _wanted(before, section, key, value)
    edited = _edited(text, section, key, _inline(after[section][key]))
    if _read(edited) != after:
        raise RefusedError(
            f"{file} is written in a way that cannot be edited safely.", cure=f"Set {setting}: {value} in it."
        )
    file.write_text(edited, encoding="utf-8")


def _read(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _wanted(before: dict[str, Any], section: str, key: str, value: str) -> dict[str, Any]:
    own = before.get(section) or {}
    new: Any = True if value == "true" else [*(own.get(key) or []), value[1:-1]]
    return {**before, section: {**own, key: new}}


def _inline(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).removesuffix("\n...\n").strip()


def _edited(text: str, section: str, key: str, value: str) -> str:
    """The text with the line `key: value` in the section; a section that is missing comes last."""
    lines = text.splitlines()
    start = _find(lines, 0, f"{section}:")
    if start is None:
        end = [] if not lines or not lines[-1].strip() else [""]
        return "\n".join([*lines, *end, f"{section}:", f"  {key}: {value}", ""])
    line = _find(lines, start + 1, f"{key}:", inside=True)
    if line is None:
        lines.insert(start + 1, f"{_indent(lines, start + 1)}{key}: {value}")
    else:
        indent = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
        lines[line] = f"{indent}{key}: {value}{_comment(lines[line])}"
    return "\n".join([*lines, ""])


def _find(lines: list[str], start: int, words: str, *, inside: bool = False) -> int | None:
    """The line that begins with `words`: at the margin, or, inside a section, indented in it."""
    for number in range(start, len(lines)):
        line = lines[number]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indented = line[0] in " \t"
        if inside and not indented:
            return None
        if indented is inside and line.strip().startswith(words):
            return number
    return None


def _indent(lines: list[str], start: int) -> str:
    """How the section's own lines are indented."""
    for line in lines[start:]:
        if line.strip() and not line.lstrip().startswith("#"):
            own = line[: len(line) - len(line.lstrip())]
            return own or "  "
    return "  "


def _comment(line: str) -> str:
    _, mark, rest = line.partition(" #")
    return f"  #{rest}" if mark else ""
