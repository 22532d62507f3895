"""`list`, `status`, `logs`, `context` and `cancel`: what became of tasks."""

import io
import json
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from aqm.cli.detail import task_lines
from aqm.cli.terminal import Screen
from aqm.flow.outcome import Usage
from aqm.flow.state import AttemptStatus, Priority, StageStatus, TaskStatus, TurnKind
from aqm.service.views import AttemptView, StageView, TaskDetail, TaskSummary
from tests.cli.conftest import Call, Start
from tests.cli.test_terminal import HOSTILE


def run(call: Call, text: str, script: Path) -> str:
    task = json.loads(call("run", text, "--script", script, "--json").stdout)
    return str(task["id"])


def listed(call: Call, *words: str) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(call("list", *words, "--json").stdout)
    return page


def test_a_project_without_tasks_says_how_to_begin(call: Call) -> None:
    for command in ("list", "status"):
        shown = call(command)
        assert shown.exit_code == 0
        assert 'aqm run "Add JWT authentication"' in shown.stdout
    assert listed(call) == {"tasks": [], "next": None}
    assert json.loads(call("status", "--json").stdout) == {"tasks": [], "next": None}


def test_tasks_are_listed_newest_first_in_the_agreed_shape(call: Call, script: Path) -> None:
    older, newer = run(call, "older", script), run(call, "newer", script)
    page = listed(call)
    assert [task["id"] for task in page["tasks"]] == [newer, older]
    task = page["tasks"][0]
    assert task["status"] == "completed"
    assert task["description"] == "newer"
    assert task["pipeline"] == "default"
    assert task["priority"] == "normal"
    assert task["parent"] is None
    assert task["error"] is None
    assert task["created_at"].endswith("Z")
    assert task["created_at"] <= task["updated_at"]
    lines = call("list").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "PIPELINE", "STAGES", "UPDATED", "TASK"]
    assert lines[1].startswith(f"{newer}  completed  default   4 ")


def test_a_list_can_be_narrowed_and_paged(call: Call, script: Path, tmp_path: Path) -> None:
    fails = tmp_path / "fails.yaml"
    fails.write_text("agents: {dev: {fail: auth}}\n")
    first, second = run(call, "fix the LOGIN", script), run(call, "other 100%", fails)
    assert [task["id"] for task in listed(call, "--filter", "failed")["tasks"]] == [second]
    assert [task["id"] for task in listed(call, "--search", "login")["tasks"]] == [first]
    assert [task["id"] for task in listed(call, "--search", "0%")["tasks"]] == [second]
    assert listed(call, "--pipeline", "solo")["tasks"] == []
    assert call("list", "--filter", "cancelled").stdout == "No task matches.\n"
    page = listed(call, "--limit", "1")
    assert [task["id"] for task in page["tasks"]] == [second]
    assert [task["id"] for task in listed(call, "--after", page["next"])["tasks"]] == [first]
    assert f"more:  aqm list --limit 1 --after {page['next']}" in call("list", "--limit", "1").stdout
    failed = listed(call, "--filter", "failed")["tasks"][0]
    assert failed["error"]["class"] == "auth"
    assert failed["error"]["cure"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["list", "--after", "rubbish"], 2, "'rubbish' is no cursor"),
        (["list", "--limit", "0"], 2, "0 is not in the range"),
        (["status", "T-ZZZZZZ"], 1, "no task T-ZZZZZZ"),
        (["logs", "T-ZZZZZZ"], 1, "no task T-ZZZZZZ"),
        (["cancel", "T-ZZZZZZ"], 1, "no task T-ZZZZZZ"),
        (["logs"], 2, "Missing argument 'ID'"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    call: Call, words: list[str], code: int, said: str
) -> None:
    shown = call(*words)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert said in shown.stderr


def test_a_detail_shows_stages_verdicts_tokens_and_what_to_type(call: Call, script: Path) -> None:
    task = run(call, "Build it [/b]", script)
    shown = call("status", task[:4])
    lines = shown.stdout.splitlines()
    assert lines[0] == f"{task}  completed  Build it [/b]"
    assert lines[1].startswith("pipeline default · priority normal · since ")
    assert lines[1].endswith(" · 1.5k tokens · $0.50")
    assert [line.split()[:3] for line in lines if line[:2] == "  " and line[2:3].isdigit()] == [
        ["1", "dev", "done"],
        ["2", "qa", "done"],
        ["3", "dev", "done"],
        ["4", "qa", "done"],
    ]
    assert "     The first version. [/markup]" in lines
    assert "     ✗ rejected — no tests" in lines
    assert "     ✓ approved — now it has" in lines
    assert lines[-1] == f"next:  aqm logs {task}"
    assert "\x1b" not in shown.stdout


def test_the_json_of_a_detail_has_the_agreed_stages(call: Call, script: Path) -> None:
    shown = json.loads(call("status", run(call, "Build it", script), "--json").stdout)
    stage = shown["stages"][1]
    assert {
        "number",
        "agent",
        "branch",
        "status",
        "gate",
        "attempts",
        "started_at",
        "finished_at",
        "usage",
    } <= set(stage)
    assert (stage["number"], stage["agent"], stage["status"], stage["gate"]) == (2, "qa", "done", "rejected")
    assert [attempt["kind"] for attempt in stage["attempts"]] == ["work", "gate"]
    assert shown["stages"][0]["gate"] is None
    assert shown["stages"][0]["usage"]["input"] == 1200


def test_the_logs_hold_what_every_agent_said(call: Call, script: Path) -> None:
    task = run(call, "Build it", script)
    shown = call("logs", task).stdout
    assert shown.startswith("── 1 · dev ──\nThe first version. [/markup] \n── 2 · qa ──\nI had a look.\n")
    assert "\x1b" not in shown
    one = call("logs", task, "--stage", "3").stdout
    assert one == "── 3 · dev ──\nThe second version.\n"
    entries = json.loads(call("logs", task, "--json").stdout)["entries"]
    assert [(entry["stage"], entry["kind"]) for entry in entries[:3]] == [
        (1, "work"),
        (2, "work"),
        (2, "gate"),
    ]
    assert call("logs", task, "--stage", "9").exit_code == 1


def test_the_logs_of_a_failure_say_what_it_was(call: Call, tmp_path: Path) -> None:
    fails = tmp_path / "fails.yaml"
    fails.write_text("agents: {dev: {steps: [{say: so far}], fail: {kind: crash, message: boom}}}\n")
    task = run(call, "x", fails)
    assert "  ✗ crash — boom" in call("logs", task).stdout


def test_a_run_elsewhere_can_be_followed_until_it_ends(call: Call, start: Start, tmp_path: Path) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text("agents: {dev: {delay: 1, say: slowly}, qa: {work: {say: seen}}}\n")
    out, _ = start("run", "x", "--script", slow, "--detach").communicate(timeout=20)
    shown = call("logs", out.decode().strip(), "-f")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[:3] == ["── 1 · dev (claude) ──", "slowly", "  ✓ dev · " + lines[2].partition("dev · ")[2]]
    assert lines[5] == "seen"
    assert f"{out.decode().strip()} completed · 2 stages" in lines[-2]


def test_following_and_json_do_not_go_together(call: Call) -> None:
    assert call("logs", "T-ZZZZZZ", "-f", "--json").exit_code == 2


def test_the_context_of_a_task_tells_what_happened(call: Call, script: Path) -> None:
    task = run(call, "Build it", script)
    shown = call("context", task)
    assert shown.exit_code == 0
    assert "The second version." in shown.stdout
    assert json.loads(call("context", task, "--agent", "dev", "--json").stdout)["agent"] == "dev"
    unknown = call("context", task, "--agent", "deb")
    assert unknown.exit_code == 1
    assert "did you mean 'dev'?" in unknown.stderr


def test_a_task_that_waits_can_be_cancelled_once(call: Call, start: Start, hangs: Path) -> None:
    running = start("run", "x", "--script", hangs)
    deadline = time.monotonic() + 20
    while not listed(call)["tasks"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.kill()
    running.communicate(timeout=20)
    task = listed(call)["tasks"][0]["id"]
    shown = call("cancel", task, "-r", "not needed", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["status"]) == (0, "cancelled")
    assert "cancelled — not needed" in call("status", task).stdout
    again = call("cancel", task)
    assert again.exit_code == 1
    assert f"{task} is cancelled already" in again.stderr


def test_nothing_hostile_reaches_the_terminal_by_any_command(call: Call, tmp_path: Path) -> None:
    text = "\n".join(HOSTILE)
    script = tmp_path / "hostile.yaml"
    script.write_text(json.dumps({"agents": {"dev": {"say": text}, "qa": {"work": {"say": text}}}}))
    shown = call("run", text, "--script", script)
    assert shown.exit_code == 0
    task = json.loads(call("list", "--json").stdout)["tasks"][0]["id"]
    commands = [
        ["list"],
        ["status"],
        ["status", task],
        ["logs", task],
        ["logs", "-f", task],
        ["context", task],
    ]
    commands += [["status", task, "--json"], ["logs", task, "--json"], ["context", task, "--json"]]
    for output in [shown.output, *(call(*words).output for words in commands)]:
        assert {char for char in output if ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0} <= {"\n"}
        assert not set(output) & set("\u202e\u2066\u200f\u2028")


def test_the_hint_of_the_next_page_repeats_what_was_asked_for(call: Call, script: Path) -> None:
    for _ in range(2):
        run(call, "it's big", script)
    narrowed = ["--filter", "completed", "--pipeline", "default", "--search", "it's", "--limit", "1"]
    more = call("list", *narrowed).stdout.splitlines()[-1]
    words = shlex.split(more.removeprefix("more:  aqm "))
    assert words[:-2] == ["list", *narrowed]
    assert len(listed(call, *words[1:])["tasks"]) == 1


def test_a_cancel_without_a_reason_is_said_once_and_the_fenced_attempt_is_not_told(
    call: Call, start: Start, hangs: Path
) -> None:
    running = start("run", "x", "--script", hangs)
    deadline = time.monotonic() + 20
    while not (tasks := listed(call)["tasks"]) or not stages_of(call, tasks[0]["id"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    task = tasks[0]["id"]
    call("cancel", task)
    out, _ = running.communicate(timeout=20)
    shown = call("status", task).stdout
    for lines in (out.decode().splitlines(), shown.splitlines()):
        assert "error: cancelled" in lines
    assert stages_of(call, task)[0]["attempts"][0]["status"] == "fenced"
    assert "fenced" not in shown


def stages_of(call: Call, task: str) -> list[dict[str, Any]]:
    """The task's stages, once the first has an attempt."""
    stages: list[dict[str, Any]] = json.loads(call("status", task, "--json").stdout)["stages"]
    return stages if stages and stages[0]["attempts"] else []


def test_a_stage_took_as_long_as_its_attempts_and_not_the_night_between_them() -> None:
    usage = Usage()
    tries = [
        AttemptView(number, 1, TurnKind.WORK, "claude", AttemptStatus.ANSWERED, at, at + 2, "", "", usage)
        for number, at in enumerate((1000.0, 50_000.0), 1)
    ]
    stage = StageView(1, "dev", "", StageStatus.DONE, "", "", "", 1000.0, 50_002.0, usage, tuple(tries))
    summary = TaskSummary(
        "T-1", TaskStatus.COMPLETED, "x", "p", Priority.NORMAL, 1.0, 2.0, None, None, 1, usage
    )
    stream = io.StringIO()
    task_lines(Screen(stream), TaskDetail(summary, "x", {}, (stage,), "", Path("/none")), str)
    assert "  1  dev  done  4.0 s\n" in stream.getvalue()
