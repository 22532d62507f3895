"""What agents print may be anything: a run ends well, in little memory, and writes no escape of theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory import wait_for_peak

MEMORY = 200  # MB; the aim is 120, measured apart, and a flood of 2 GB would take thousands


def aqm(root: Path, *words: str, stdin: bytes = b"") -> tuple[int, bytes, float]:
    """Exit code, all that was printed, and its peak memory in MB."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AQM_")}
    command = [sys.executable, "-m", "aqm.cli", *words]
    with (root / "out").open("w+b") as out:
        process = subprocess.Popen(
            command, cwd=root, env=environ, stdin=subprocess.PIPE, stdout=out, stderr=out
        )
        assert process.stdin
        process.stdin.write(stdin)
        process.stdin.close()
        peak = wait_for_peak(process, 120)
        out.seek(0)
        return process.returncode, out.read(), peak


def project(root: Path, *script: str) -> Path:
    folder = root / ".aqm" / "pipelines"
    folder.mkdir(parents=True)
    agent = {"id": "a", "runtime": "command", "command": [sys.executable, "-c", "\n".join(script)]}
    (folder / "default.yaml").write_text(json.dumps({"agents": [agent]}))
    (root / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\n")
    return root


READ = "import sys; text = sys.stdin.buffer.read(); out = sys.stdout.buffer"


def test_a_flood_of_2_gb_is_ended_in_little_memory(tmp_path: Path):
    flood = "for _ in range(2000): out.write(b'x' * 1_000_000)"
    code, said, memory = aqm(project(tmp_path, READ, flood), "run", "go")
    assert code == 1
    assert b"printed more than" in said
    assert memory < MEMORY


def test_a_line_of_100_mb_is_taken_in_little_memory(tmp_path: Path):
    code, _, memory = aqm(project(tmp_path, READ, "out.write(b'x' * 100_000_000)"), "run", "go")
    assert code == 0
    assert memory < MEMORY


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\\xff\\xfe no utf-8 \\xc3",
        b"nul \\x00 nul",
        b"\\xed\\xa0\\x80 a lone surrogate",
        b"\\x1b[31mred\\x1b]0;title\\x07 \\x9b2J",
        b"[/red] [bold]markup[/bold] {{ 7 * 7 }} {% raw %}",
        b"",
    ],
)
def test_any_bytes_are_an_answer_and_no_escape_reaches_the_screen(tmp_path: Path, bytes_: bytes):
    literal = bytes_.decode("ascii")
    code, said, _ = aqm(project(tmp_path, READ, f"out.write(b'{literal}')"), "run", "go")
    assert code == 0, said
    assert b"\x1b" not in said
    assert b"\x00" not in said
    code, said, _ = aqm(tmp_path, "logs", json.loads(aqm(tmp_path, "list", "--json")[1])["tasks"][0]["id"])
    assert code == 0
    assert b"\x1b" not in said
    if b"markup" in bytes_:
        assert b"[/red] [bold]markup[/bold] {{ 7 * 7 }} {% raw %}" in said


def test_a_prompt_of_300_kb_arrives_whole(tmp_path: Path):
    root = project(tmp_path, READ, "out.write(str(len(text)).encode())")
    code, said, _ = aqm(root, "run", "-", stdin=b"x" * 300_000)
    assert code == 0
    assert b"300000" in said


def test_two_runs_at_once_in_one_project_do_not_disturb_each_other(tmp_path: Path):
    root = project(tmp_path, READ, "import time; time.sleep(0.5); out.write(text)")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AQM_")}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "aqm.cli", "run", word],
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for word in ("one", "two", "three")
    ]
    said = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    tasks = json.loads(aqm(root, "list", "--json")[1])["tasks"]
    assert {task["status"] for task in tasks} == {"completed"}
    assert {task["description"] for task in tasks} == {"one", "two", "three"}
    for words, text in zip(("one", "two", "three"), said, strict=True):
        assert words.encode() in text
