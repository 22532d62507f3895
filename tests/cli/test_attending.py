"""`watch`: a task that another process runs."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cli.conftest import Call, Start
from tests.cli.test_answering import SLOW, _first_task, until

SESSION = """\
agents:
  - {id: council, type: session, participants: [ann, bob], max_rounds: 2}
  - {id: ann, runtime: claude, permissions: read}
  - {id: bob, runtime: claude, permissions: read}
"""
SAYS = """\
agents:
  plan: {say: Planned.}
  left: {say: Left.}
  right: {steps: [{say: "I begin.\\n"}, {pause: 3}], say: Late.}
"""


def test_a_running_task_is_shown_from_its_open_stages_on(project: Path, call: Call, start: Start) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(SLOW)
    (project / "slow.yaml").write_text(SAYS)
    runs = start("run", "Build it", "--script", "slow.yaml")
    task = _first_task(call)
    until(call, task, lambda shown: any(stage["waits"] == "gate" for stage in shown["stages"]))
    watches = start("watch", task)
    out, err = watches.communicate(timeout=20)
    runs.communicate(timeout=20)
    shown = out.decode()
    assert (watches.returncode, err) == (3, b"")
    assert "Planned." not in shown
    assert "3 right │ I begin." in shown
    assert shown.index("I begin.") < shown.index("Late.") < shown.index(f"{task} awaiting_gate")


def test_a_session_is_shown_with_its_rounds_and_speakers(project: Path, call: Call, start: Start) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(SESSION)
    (project / "slow.yaml").write_text(
        "agents: {ann: {speak: {delay: 1, say: Mine.}}, bob: {speak: {delay: 1, say: Other.}}}\n"
    )
    runs = start("run", "Build it", "--script", "slow.yaml")
    out, _ = start("watch", _first_task(call)).communicate(timeout=30)
    shown = out.decode().splitlines()
    assert runs.wait(20) == 0
    runs.communicate()
    at = shown.index("── 1 · council (session of ann, bob) ──")
    assert shown[at + 1 : at + 8] == [
        "── Round 1 ──",
        "ann: Mine.",
        "bob: Other.",
        "── Round 2 ──",
        "ann: Mine.",
        "bob: Other.",
        "  no consensus after 2 rounds",
    ]


def test_ctrl_c_ends_the_watching_and_nothing_else(
    project: Path, call: Call, start: Start, hangs: Path
) -> None:
    runs = start("run", "Build it", "--script", hangs)
    task = _first_task(call)
    until(call, task, lambda shown: bool(shown["stages"] and shown["stages"][0]["attempts"]))
    watches = start("watch", task)
    assert watches.stdout is not None
    assert watches.stdout.readline() == f"{task}  Build it\n".encode()
    assert watches.stdout.readline() == "── 1 · dev (claude) ──\n".encode()
    watches.send_signal(signal.SIGINT)
    watches.communicate(timeout=20)
    assert watches.returncode == 130
    assert until(call, task, lambda shown: True)["status"] == "in_progress"
    runs.send_signal(signal.SIGINT)
    runs.communicate(timeout=20)
