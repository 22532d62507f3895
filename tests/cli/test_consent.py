"""What a pipeline's agents need the project's consent for, by how they are used."""

from __future__ import annotations

from pathlib import Path

import pytest

from aqm.cli.consent import refusals
from aqm.pipeline.resolve import load
from aqm.settings import Settings
from tests.cli.conftest import Call

UNCONFINED, FULL, FLAG = "permissions.allow_unconfined", "permissions.allow_full", "flags.allow"


def asked(agents: str, start: str | None = None, top: str = "") -> list[tuple[str, str]]:
    text = f"{top}agents:\n{agents}"
    pipeline = load("p.yaml", lambda path: text).pipeline
    return [(who, refusal.setting) for who, refusal in refusals(pipeline, Settings(), start)]


COUNCIL = "  - {id: council, type: session, participants: [ann], handoffs: [{to: dev}]}\n"


@pytest.mark.parametrize(
    ("agents", "found"),
    [
        ("  - {id: dev, runtime: claude}\n", [("dev", UNCONFINED)]),
        ("  - {id: dev, runtime: codex}\n", []),
        ("  - {id: dev, runtime: claude, permissions: edit}\n", []),
        ("  - {id: dev, runtime: claude, permissions: full}\n", [("dev", FULL)]),
        ("  - {id: dev, runtime: claude, permissions: edit}\n  - {id: far, runtime: claude}\n", []),
    ],
)
def test_an_agent_is_asked_for_by_its_permissions(agents: str, found: list[tuple[str, str]]) -> None:
    assert asked(agents) == found


def test_who_only_speaks_in_sessions_may_only_read_and_needs_none() -> None:
    dev = "  - {id: dev, runtime: claude, permissions: edit}\n"
    assert asked(f"{COUNCIL}  - {{id: ann, runtime: claude}}\n{dev}") == []
    assert asked(f"{COUNCIL}  - {{id: ann, runtime: claude, permissions: run}}\n{dev}") == [
        ("ann", UNCONFINED)
    ]
    flagged = f'{COUNCIL}  - {{id: ann, runtime: claude, cli_flags: ["--add-dir", "/"]}}\n{dev}'
    assert asked(flagged) == [("ann", FLAG)]


def test_who_speaks_and_works_counts_with_both() -> None:
    both = "  - {id: dev, runtime: claude, permissions: edit, handoffs: [{to: ann}]}\n"
    assert asked(f"{COUNCIL}  - {{id: ann, runtime: claude}}\n{both}") == [("ann", UNCONFINED)]
    # started at its stage, the task meets no session
    assert asked(f"{COUNCIL}  - {{id: ann, runtime: claude}}\n{both}", "ann") == [("ann", UNCONFINED)]


def test_who_speaks_in_a_session_that_no_task_meets_is_not_asked_for() -> None:
    agents = (
        "  - {id: dev, runtime: claude, permissions: edit}\n"
        "  - {id: council, type: session, participants: [ann]}\n"
        "  - {id: ann, runtime: claude, permissions: full}\n"
    )
    assert asked(agents) == []
    assert asked(agents, "council") == [("ann", FULL)]


def test_a_gate_s_command_is_asked_for() -> None:
    agents = "  - {id: dev, runtime: claude, permissions: edit, gate: {type: command, run: make test}}\n"
    assert asked(agents) == [("the gate of dev", UNCONFINED)]
    council = (
        "  - {id: council, type: session, participants: [ann], gate: {type: command, run: make test}}\n"
        "  - {id: ann, runtime: claude}\n"
    )
    assert asked(council) == [("the gate of council", UNCONFINED)]
    unmet = "  - {id: dev, runtime: claude, permissions: edit}\n" + agents.replace("dev", "far")
    assert asked(unmet) == []


def test_where_a_router_chooses_all_are_asked_for_but_speakers() -> None:
    agents = COUNCIL + (
        "  - {id: ann, runtime: claude}\n"
        "  - {id: dev, runtime: claude, permissions: edit}\n"
        "  - {id: far, runtime: claude}\n"
    )
    assert asked(agents, top="entry_point: auto\n") == [("far", UNCONFINED)]


def test_a_gate_s_command_is_refused_where_nobody_can_be_asked(call: Call, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(
        "agents: [{id: dev, runtime: claude, permissions: edit, gate: {type: command, run: 'true'}}]\n"
    )
    shown = call("run", "x")
    assert shown.exit_code == 1
    assert "error: the gate of dev: nothing keeps command " in shown.stderr
