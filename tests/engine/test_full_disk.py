"""A disk that is full ends a run with one sentence, and the task is finished once there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LOUD = "#!/bin/sh\ncat >/dev/null\nhead -c 3000000 /dev/urandom | base64\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """2 MB, where this host lets us mount it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this host does not let us mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def aqm(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aqm.cli", *words]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AQM_")}
    return subprocess.run(
        command, cwd=root, env=environ, capture_output=True, text=True, timeout=120, errors="replace"
    )


def test_a_full_disk_ends_a_run_with_one_sentence_and_loses_nothing(small_disk: Path, tmp_path: Path):
    program = tmp_path / "agent.sh"
    program.write_text(LOUD)
    program.chmod(0o755)
    folder = small_disk / ".aqm" / "pipelines"
    folder.mkdir(parents=True)
    agents = [{"id": "a", "runtime": "command", "command": [str(program)]}]
    (folder / "default.yaml").write_text(json.dumps({"agents": agents}))
    (small_disk / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\n")

    ended = aqm(small_disk, "run", "go")
    assert ended.returncode == 1
    assert "The disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr

    program.write_text("#!/bin/sh\ncat >/dev/null\necho quiet\n")
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    ended = aqm(small_disk, "resume")
    assert ended.returncode == 0, ended.stderr
    (task,) = json.loads(aqm(small_disk, "list", "--json").stdout)["tasks"]
    assert task["status"] == "completed"
