"""Flags that widen permissions."""

from __future__ import annotations

import pytest

from aqm.pipeline.flags import widening_flags


@pytest.mark.parametrize(
    ("runtime", "flags", "found"),
    [
        ("claude", ["--verbose", "--dangerously-skip-permissions"], ("--dangerously-skip-permissions",)),
        ("claude", ["--permission-mode", "acceptEdits"], ("--permission-mode",)),
        ("claude", ["--permission-mode=acceptEdits"], ("--permission-mode",)),
        (
            "claude",
            ["--mcp-config", "x", "--settings", "y", "--add-dir", "/"],
            ("--mcp-config", "--settings", "--add-dir"),
        ),
        ("claude", ["--yolo", "-y"], ()),
        ("gemini", ["--yolo"], ("--yolo",)),
        ("gemini", ["-y", "-y"], ("-y",)),
        ("codex", ["-c", "sandbox_mode=x"], ("-c",)),
        ("codex", ["-csandbox_mode=x", "-sdanger-full-access"], ("-c", "-s")),
        ("codex", ["--sandbox=danger-full-access"], ("--sandbox",)),
        ("mine", ["--yolo", "--dangerously-skip-permissions"], ("--yolo", "--dangerously-skip-permissions")),
        ("claude", ["add-dir", "", "-", "--"], ()),
    ],
)
def test_a_flag_that_widens_is_found_in_every_spelling(
    runtime: str, flags: list[str], found: tuple[str, ...]
) -> None:
    assert widening_flags(runtime, flags) == found


def test_what_is_allowed_is_not_found() -> None:
    assert widening_flags("gemini", ["--yolo", "-y"], ["--yolo"]) == ("-y",)
    assert widening_flags("codex", ["--sandbox=read-only"], ["--sandbox=read-only"]) == ()
    assert widening_flags("codex", ["--sandbox=danger"], ["--sandbox=read-only"]) == ("--sandbox",)
    assert widening_flags("codex", ["--sandbox=danger"], ["--sandbox"]) == ()
