"""Finding a runtime by its name, and the folders that turns leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aqm.errors import NotFoundError
from aqm.runtimes import RUNTIMES, get, load
from aqm.runtimes.base import Host
from aqm.runtimes.private import clear_leftovers, private_folder, write_private


def test_an_unknown_runtime_is_told_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match=r"no runtime called 'cluade' did you mean 'claude'\?"):
        get("cluade", Host(environ={}))


def test_a_runtime_is_loaded_once() -> None:
    assert load("claude") is get("claude", Host(environ={}))


def test_importing_the_room_loads_no_runtime() -> None:
    code = "import sys, aqm.runtimes; print([m for m in sys.modules if m.startswith('aqm.runtimes.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert RUNTIMES


def test_a_private_file_is_for_its_owner_only_and_goes(tmp_path: Path) -> None:
    host = Host(environ={"TMPDIR": str(tmp_path)})
    with private_folder(host) as folder:
        path = write_private(folder / "x", "\ud800secret")
        assert oct(folder.stat().st_mode)[-3:] == "700"
        assert oct(path.stat().st_mode)[-3:] == "600"
        assert path.read_text() == "?secret"
    assert list(tmp_path.iterdir()) == []


def test_the_folders_of_a_worker_that_was_killed_are_cleared(tmp_path: Path) -> None:
    host = Host(environ={"TMPDIR": str(tmp_path)})
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    (tmp_path / f"aqm-turn-{gone.stdout.strip()}-abc").mkdir()
    (tmp_path / f"aqm-turn-{os.getpid()}-abc").mkdir()
    (tmp_path / "somebody-elses").mkdir()
    assert clear_leftovers(host) == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"aqm-turn-{os.getpid()}-abc", "somebody-elses"}
