"""An installed wheel, far from any checkout, does what a checkout does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import aqm

ROOT = Path(__file__).parents[1]

PACKAGES = {"aqm": "aqm", "workers": "workers", "migrations": "aqm/migrations"}
WHERE = (
    "import aqm, workers, importlib.util as u; print(aqm.__file__, workers.__file__, u.find_spec('tests'))"
)


class Installed:
    """A virtual environment with nothing in it but the wheel and what it asks for."""

    def __init__(self, folder: Path, wheel: Path, workplace: Path) -> None:
        self.bin = folder / "bin"
        self.workplace = workplace
        _succeeds([sys.executable, "-m", "venv", folder], workplace)
        install: list[str | Path] = [
            self.bin / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        _succeeds([*install, wheel], workplace)

    def __call__(self, program: str, *arguments: str | Path) -> str:
        return _succeeds([self.bin / program, *arguments], self.workplace)


def _succeeds(command: list[str | Path], folder: Path) -> str:
    """What the command printed; the test fails with all of it when it ended badly."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("AQM_", "PYTHON"))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    if ended.returncode:
        pytest.fail(f"{command[0]} {command[1]} … ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def files_of_the_packages() -> set[str]:
    return {
        f"{inside}/{path.relative_to(ROOT / package).as_posix()}"
        for package, inside in PACKAGES.items()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_in_an_empty_environment_is_the_whole_product(tmp_path: Path) -> None:
    workplace = tmp_path / "empty"
    workplace.mkdir()
    _succeeds([sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT], workplace)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        assert files_of_the_packages() - set(archive.namelist()) == set()

    installed = Installed(tmp_path / "venv", wheel, workplace)
    assert installed("aqm", "--version") == f"aqm {aqm.__version__}\n"
    *homes, tests = installed("python", "-c", WHERE).split()
    assert [home for home in homes if not Path(home).is_relative_to(tmp_path / "venv")] == []
    assert tests == "None"

    installed("aqm", "init", "--yes")
    installed("aqm", "validate")
    script = workplace / "script.yaml"
    script.write_text("default: {work: {say: done}, gate: {verdict: approved}}\n")
    installed("aqm", "run", "do it", "--script", script)
    (task,) = json.loads(installed("aqm", "list", "--json"))["tasks"]
    assert (task["description"], task["status"]) == ("do it", "completed")
