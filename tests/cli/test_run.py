"""`run` and `resume`: from the words on the command line to the exit code."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Start

ID = re.compile(r"T-[A-Z2-9]{6}")


def id_in(text: str) -> str:
    found = ID.search(text)
    assert found, text
    return found.group()


def test_a_run_shows_stages_verdicts_and_ends_with_one_line_and_what_to_type_next(
    call: Call, script: Path
) -> None:
    shown = call("run", "Build it", "--script", script)
    assert shown.exit_code == 0
    task = id_in(shown.stdout)
    lines = shown.stdout.splitlines()
    assert lines[:2] == [f"{task}  Build it", f"No CLI is called: the answers are played from {script}"]
    assert [line for line in lines if line.startswith("──")] == [
        "── 1 · dev (claude) ──",
        "── 2 · qa (claude) ──",
        "── 3 · dev (claude) ──",
        "── 4 · qa (claude) ──",
    ]
    assert "  ✗ rejected — no tests" in lines
    assert "  ✓ approved — now it has" in lines
    assert re.fullmatch(rf"{task} completed · 4 stages · [\d.]+ s · 1\.5k tokens · \$0\.50", lines[-2])
    assert lines[-1] == f"next:  aqm status {task}   aqm logs {task}"


def test_without_a_terminal_nothing_is_decorated_and_agents_write_no_escape(call: Call, script: Path) -> None:
    shown = call("run", "Build \x1b[31mit", "--script", script)
    assert "\x1b" not in shown.output
    assert "The first version. [/markup] " in shown.stdout


def test_with_json_stdout_has_the_same_document_as_status(call: Call, script: Path) -> None:
    shown = call("run", "Build it", "--script", script, "--json")
    task = json.loads(shown.stdout)
    assert (shown.exit_code, task["status"], task["description"]) == (0, "completed", "Build it")
    assert [stage["agent"] for stage in task["stages"]] == ["dev", "qa", "dev", "qa"]
    assert json.loads(call("status", task["id"], "--json").stdout) == task


def test_a_task_that_fails_ends_with_1_and_says_why_and_the_cure(call: Call, tmp_path: Path) -> None:
    script = tmp_path / "fails.yaml"
    script.write_text("agents: {dev: {fail: {kind: auth, message: not logged in}}}\n")
    shown = call("run", "Build it", "--script", script)
    assert shown.exit_code == 1
    assert "error: auth — not logged in" in shown.stdout
    assert "cure:  Log the CLI in" in shown.stdout


def test_a_task_can_start_with_another_agent(call: Call, script: Path) -> None:
    shown = call("run", "Look at it", "--agent", "qa", "--script", script)
    assert "── 1 · qa (claude) ──" in shown.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "x", "--agent", "deb"], 1, "no agent 'deb' in this pipeline; did you mean 'dev'?"),
        (["run", "x", "--pipeline", "defalt"], 1, "There is no pipeline 'defalt'; did you mean 'default'?"),
        (["run", "x", "-p", "novalue"], 2, "-p novalue: a parameter is given as NAME=VALUE."),
        (["run", "x", "-p", "who=me"], 1, "there is no param called 'who'"),
        (["run", "  "], 2, "The task has no text."),
        (["run", "x", "--priority", "urgent"], 2, "'urgent' is not one of"),
        (["run", "x", "--script", "none.yaml"], 2, "does not exist"),
        (["run", "add", "jwt's"], 2, """Quote it: aqm run 'add jwt'"'"'s'"""),
        (["resume", "T-NONE22"], 1, "no task T-NONE22"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence_and_nothing_is_stored(
    call: Call, words: list[str], code: int, said: str
) -> None:
    shown = call(*words)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr
    assert json.loads(call("list", "--json").stdout)["tasks"] == []


def test_outside_a_project_run_is_a_usage_error(call: Call, tmp_path_factory: pytest.TempPathFactory) -> None:
    shown = call("--project", tmp_path_factory.mktemp("bare"), "run", "x")
    assert shown.exit_code == 2
    assert "aqm init" in shown.stderr


def test_the_old_flag_for_parallel_runs_is_accepted_and_said_to_do_nothing(call: Call, script: Path) -> None:
    shown = call("run", "Build it", "--parallel", "--script", script)
    assert shown.exit_code == 0
    assert shown.stderr == "--parallel: branches, and tasks, run in parallel anyway.\n"


def test_a_text_can_come_from_stdin(call: Call, script: Path) -> None:
    text = "First line.\n\nMore {{ input }} and $HOME, as it is.\n"
    shown = call("run", "-", "--script", script, "--json", input=text)
    assert json.loads(shown.stdout)["description"] == text.rstrip("\n")


def test_a_param_reaches_the_pipeline(call: Call, project: Path, script: Path) -> None:
    pipeline = project / ".aqm" / "pipelines" / "default.yaml"
    pipeline.write_text("params: {who: nobody}\n" + pipeline.read_text())
    shown = call("run", "x", "-p", "who=a=b c", "--script", script, "--json")
    assert json.loads(shown.stdout)["params"] == {"who": "a=b c"}


def test_a_dry_run_checks_everything_and_stores_nothing(call: Call, project: Path) -> None:
    shown = call("run", "Build it", "--dry-run")
    assert shown.exit_code == 0
    assert "default · 2 agents · starts with dev" in shown.stdout
    assert shown.stdout.endswith("Nothing was started.\n")
    assert not (project / ".aqm" / "aqm.db").exists()


def test_warnings_of_the_pipeline_are_said_before_a_run(call: Call, project: Path, script: Path) -> None:
    pipeline = project / ".aqm" / "pipelines" / "default.yaml"
    pipeline.write_text(TEAM_WITH_A_STRANGER)
    shown = call("run", "x", "--script", script)
    assert "warning: .aqm/pipelines/default.yaml:4" in shown.stderr
    assert shown.exit_code == 0


TEAM_WITH_A_STRANGER = "agents:\n  - {id: dev, runtime: claude}\n\n  - {id: never, runtime: claude}\n"


# Consent -----------------------------------------------------------------------------------------


FULL = "agents: [{id: dev, runtime: claude, permissions: full}]\n"


def test_full_permissions_are_refused_with_the_settings_name_where_nobody_can_be_asked(
    call: Call, project: Path
) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(FULL)
    shown = call("run", "x")
    assert shown.exit_code == 1
    assert "permissions.allow_full" in shown.stderr
    assert json.loads(call("list", "--json").stdout)["tasks"] == []


def test_a_script_needs_no_consent_for_it_starts_nothing(call: Call, project: Path, script: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(FULL)
    assert call("run", "x", "--script", script).exit_code == 0


# In the background, and what is left behind ------------------------------------------------------


def wait_for(call: Call, task: str, status: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown = json.loads(call("status", task, "--json").stdout)
        if shown["status"] == status:
            return
        time.sleep(0.1)
    pytest.fail(f"{task} is {shown['status']} still, not {status}")


def test_a_detached_run_prints_the_id_and_goes_on_when_its_terminal_is_closed(
    call: Call, start: Start, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text("agents: {dev: {delay: 1, say: slowly}}\n")
    begun = start("run", "Build it", "--script", slow, "--detach", start_new_session=True)
    out, err = begun.communicate(timeout=20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(begun.pid, signal.SIGKILL)
    task = id_in(out.decode())
    assert (begun.returncode, out.decode()) == (0, f"{task}\n")
    assert f"aqm watch {task}" in err.decode()
    wait_for(call, task, "completed")


def read_until(process: "subprocess.Popen[bytes]", words: str) -> str:
    assert process.stdout
    said = b""
    while words.encode() not in said:
        piece = os.read(process.stdout.fileno(), 65_536)
        assert piece, said.decode()
        said += piece
    return said.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_task_so_that_it_can_be_resumed(
    call: Call, start: Start, hangs: Path, script: Path, number: signal.Signals
) -> None:
    running = start("run", "Build it", "--script", hangs)
    task = id_in(read_until(running, "── 1 · dev"))
    running.send_signal(number)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert f"it can go on with:  aqm resume {task} --script {hangs}" in err.decode()
    assert "1 task waits for a worker: aqm resume" in call("status").stdout
    resumed = call("resume", task, "--script", script)
    assert resumed.exit_code == 0
    assert f"{task} completed" in resumed.stdout
    assert "↻ attempt 1 (work, claude): put back: its worker stopped" in call("status", task).stdout


def test_a_second_signal_ends_at_once(call: Call, start: Start, project: Path) -> None:
    stubborn = (
        "agents: [{id: a, runtime: command, command: [sh, -c, 'trap : TERM; echo on; sleep 60; sleep 60']}]\n"
    )
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(stubborn)
    (project / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\n")
    running = start("run", "x")
    read_until(running, "on\n")
    running.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert running.returncode == 130
    assert time.monotonic() - began < 2


def test_a_run_that_nobody_reads_any_more_stops_and_says_how_to_go_on(start: Start, tmp_path: Path) -> None:
    talks = tmp_path / "talks.yaml"
    talks.write_text(json.dumps({"pace": 0.02, "agents": {"dev": {"say": "one line\n" * 5000}}}))
    running = start("run", "Build it", "--script", talks)
    task = id_in(read_until(running, "one line"))
    assert running.stdout
    running.stdout.close()
    running.stdout = None
    _, err = running.communicate(timeout=20)
    assert running.returncode == 1
    assert err.decode() == f"stopped; it can go on with:  aqm resume {task} --script {talks}\n"


def test_older_tasks_that_wait_are_mentioned_and_left_alone(
    call: Call, start: Start, hangs: Path, script: Path
) -> None:
    running = start("run", "older", "--script", hangs)
    older = id_in(read_until(running, "── 1 · dev"))
    running.kill()
    running.communicate(timeout=20)
    shown = call("run", "newer", "--script", script)
    assert "1 older task waits for a worker: aqm resume" in shown.stderr
    assert json.loads(call("status", older, "--json").stdout)["status"] == "in_progress"
    resumed = call("resume", "--script", script)
    assert f"{older} completed" in resumed.stdout
    assert call("resume").stdout == "No task waits for a worker.\n"


def test_a_task_that_is_being_run_cannot_be_resumed_elsewhere(call: Call, start: Start, hangs: Path) -> None:
    running = start("run", "Build it", "--script", hangs)
    task = id_in(read_until(running, "── 1 · dev"))
    shown = call("resume", task)
    assert shown.exit_code == 1
    assert f"{task} is being run by process {running.pid}" in shown.stderr
    assert call("cancel", task, "-r", "enough").exit_code == 0
    out, _ = running.communicate(timeout=20)
    assert running.returncode == 4
    assert f"{task} cancelled" in out.decode()
    assert "cancelled — enough" in out.decode()


# What a trial found ------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["run", "x"], ["run", "x", "--detach"], ["resume"]])
@pytest.mark.parametrize("by_variable", [False, True])
def test_a_faulty_script_is_refused_with_its_place_before_anything_is_stored(
    call: Call, tmp_path: Path, project: Path, words: list[str], by_variable: bool
) -> None:
    faulty = tmp_path / "s.yaml"
    faulty.write_text("agents:\n  w:\n    wrok: [{say: x}]\n")
    option = [] if by_variable else ["--script", str(faulty)]
    shown = call(*words, *option, env={"AQM_SCRIPT": str(faulty) if by_variable else None})
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert f"error: {faulty}:3:" in shown.stderr
    assert "'wrok'" in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert not (project / ".aqm" / "aqm.db").exists()


TWO_STARTS = """\
agents:
  - {id: dev, runtime: claude, handoffs: [{to: qa}]}
  - {id: qa, runtime: claude}
  - {id: never, runtime: claude, permissions: full}
"""


def test_with_agent_nothing_is_said_about_agents_that_the_usual_start_does_not_reach(
    call: Call, project: Path, script: Path
) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(TWO_STARTS)
    assert "comes to never" in call("run", "x", "--script", script).stderr
    shown = call("run", "x", "--agent", "qa", "--script", script)
    assert (shown.exit_code, shown.stderr) == (0, "")


def test_consent_is_asked_for_agents_that_the_task_can_come_to(call: Call, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(TWO_STARTS)
    (project / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\n")
    assert "consent needed" not in call("run", "x", "--dry-run").stdout
    assert "consent needed" not in call("run", "x", "--dry-run", "--agent", "qa").stdout
    assert "consent needed" in call("run", "x", "--dry-run", "--agent", "never").stdout


def test_a_failure_s_reason_is_shown_behind_its_first_line(call: Call, project: Path) -> None:
    fails = "agents: [{id: a, runtime: command, command: [sh, -c, 'echo boom >&2; exit 7']}]\n"
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(fails)
    (project / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\n")
    shown = call("run", "x")
    status = call("status", id_in(shown.stdout))
    for lines in (shown.stdout.splitlines(), status.stdout.splitlines()):
        assert any(line.endswith("sh ended with exit code 7: boom") for line in lines)
        assert not any(line.endswith(":") for line in lines)


def test_several_tasks_are_resumed_with_their_names_before_every_line(
    call: Call, start: Start, hangs: Path, script: Path
) -> None:
    tasks = []
    for text in ("one", "two"):
        running = start("run", text, "--script", hangs)
        tasks.append(id_in(read_until(running, "── 1 · dev")))
        running.kill()
        running.communicate(timeout=20)
    shown = call("resume", "--script", script)
    lines = shown.stdout.splitlines()
    body = lines[lines.index(f"No CLI is called: the answers are played from {script}") + 1 :]
    told = [
        line for line in body if not line.startswith(("next: ", *(f"{task} completed" for task in tasks)))
    ]
    assert len(told) > 16
    one = f"({'|'.join(tasks)})"
    named = re.compile(rf"{one}( [1-4] (dev|qa))? │ |── {one} · [1-4] · (dev|qa) \(claude\) ──")
    assert [line for line in told if not named.match(line)] == []


def test_a_task_that_was_stopped_says_when_it_began(call: Call, start: Start, hangs: Path) -> None:
    running = start("run", "x", "--script", hangs)
    read_until(running, "── 1 · dev")
    time.sleep(1.2)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=20)
    assert re.search(r"in_progress · 1 stage · began [1-9] s ago\n", out.decode()), out


def test_a_run_whose_stdout_is_full_says_so_and_how_it_can_go_on(start: Start, script: Path) -> None:
    with Path("/dev/full").open("w") as full:
        running = start("run", "x", "--script", script, stdout=full)
        _, err = running.communicate(timeout=20)
    assert running.returncode == 1
    said = err.decode().splitlines()
    assert said[0].startswith("stopped; it can go on with:  aqm resume T-")
    assert said[1:] == ["error: cannot write to stdout: No space left on device"]
