"""The command group: help, options, and how a command ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from aqm import __version__
from aqm.cli.app import COMMANDS, LATER, aqm
from aqm.cli.doorway import Doorway
from aqm.cli.ending import exit_code
from aqm.errors import ConflictError, NotFoundError, ProjectError
from aqm.service.project import create_project

NAMES = [name for section in COMMANDS.values() for name in section]
HEAVY = {
    "rich",
    "pydantic",
    "pydantic_settings",
    "sqlalchemy",
    "celery",
    "kombu",
    "yaml",
    "jinja2",
    "alembic",
}


def call(*words: str) -> Result:
    return CliRunner().invoke(aqm, list(words))


def modules_after(*words: str) -> set[str]:
    program = (
        "import sys, json\n"
        "from aqm.cli import main\n"
        "sys.argv = ['aqm', *json.loads(sys.argv[1])]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(words)], capture_output=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_help_lists_every_command_and_imports_nothing_heavy() -> None:
    shown = call("--help")
    assert shown.exit_code == 0
    assert all(f"  {name} " in shown.output for name in NAMES)
    assert modules_after("--help") & HEAVY == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_examples_and_the_words_that_the_group_says_about_it(name: str) -> None:
    shown = call(name, "--help")
    assert shown.exit_code == 0
    examples = shown.output.partition("Examples:\n")[2]
    assert f"aqm {name}" in examples
    command = aqm.get_command(click.Context(aqm), name)
    assert command is not None
    short = next(text for section in COMMANDS.values() for key, (_, text) in section.items() if key == name)
    assert (command.help or "").splitlines()[0].startswith(short.rstrip("."))


def test_the_help_of_a_command_imports_nothing_heavy() -> None:
    assert modules_after("run", "--help") & HEAVY == set()


def test_the_version_is_said() -> None:
    assert call("--version").output == f"aqm {__version__}\n"


def test_without_a_command_the_help_is_shown_and_it_is_a_usage_error() -> None:
    shown = call()
    assert shown.exit_code == 2
    assert "Usage: aqm" in shown.stdout


def test_an_unknown_command_names_the_nearest() -> None:
    shown = call("lst")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr == "error: there is no command 'lst'; did you mean 'list'?\n  see: aqm --help\n"


def test_an_unknown_option_is_a_usage_error_that_says_where_to_look() -> None:
    shown = call("list", "--limmit", "3")
    assert shown.exit_code == 2
    assert shown.stderr.startswith("error: No such option '--limmit'")
    assert shown.stderr.endswith("  see: aqm list --help\n")


def test_an_unknown_status_is_refused_with_the_known_ones() -> None:
    shown = call("list", "--filter", "done")
    assert shown.exit_code == 2
    assert "'completed'" in shown.stderr


@pytest.mark.parametrize(
    ("error", "code"), [(NotFoundError("x"), 1), (ConflictError("x"), 1), (ProjectError("x"), 2)]
)
def test_an_error_is_one_sentence_on_stderr_and_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask() -> None:
        raise error

    assert exit_code(ask, Doorway({})) == code
    assert capsys.readouterr() == ("", "error: x\n")


def test_the_words_of_an_error_are_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise NotFoundError("no \x1b[2J[/b]\x1b]0;t\x07 here")

    exit_code(ask, Doorway({}))
    assert capsys.readouterr().err == "error: no [/b] here\n"


def test_a_bug_is_named_as_one_and_its_traceback_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise KeyError("surprise")

    assert exit_code(ask, Doorway({})) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: this is a bug in aqm (KeyError: 'surprise'); the traceback is in ")
    file = Path(said.split()[-1])
    assert "raise KeyError" in file.read_text()
    file.unlink()


def test_with_verbose_the_traceback_of_a_bug_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise KeyError("surprise")

    exit_code(ask, Doorway({}, verbose=True))
    said = capsys.readouterr().err
    assert "Traceback" in said
    Path(said.split()[-1]).unlink()


def test_an_interrupt_outside_a_run_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise KeyboardInterrupt

    assert exit_code(ask, Doorway({})) == 130
    assert capsys.readouterr().err == "aborted\n"


def test_a_reader_that_leaves_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "aqm.cli", "schema"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_terminal_without_unicode_ends_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aqm.cli", "ünknown·"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"},
        check=False,
    )
    assert done.returncode == 2
    assert b"there is no command" in done.stderr


def test_outside_a_project_the_cure_is_named(tmp_path: Path) -> None:
    shown = call("--project", str(tmp_path), "list")
    assert shown.exit_code == 2
    assert shown.stderr.startswith("error: There is no aqm project in ")
    assert shown.stderr.endswith("Create one with: aqm init\n")


def test_global_options_may_stand_behind_the_command(tmp_path: Path) -> None:
    before, behind = call("--project", str(tmp_path), "list"), call("list", "--project", str(tmp_path))
    assert (before.exit_code, before.stderr) == (behind.exit_code, behind.stderr)


def test_a_command_that_lasts_collects_garbage() -> None:
    program = (
        "import gc\nfrom aqm.cli import main\nfrom aqm.cli.interrupt import Interrupts\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not gc.isenabled()\nwith Interrupts(): assert gc.isenabled()\n"
    )
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["--help"], ["schema"], ["list"]])
def test_a_full_stdout_is_said_in_one_sentence(tmp_path: Path, words: list[str], unbuffered: str) -> None:
    create_project(tmp_path, {})
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "aqm.cli", "--project", str(tmp_path), *words],
            env=dict(os.environ) | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    said = b"error: cannot write to stdout: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_an_error_of_the_system_that_is_not_stdout_s_stays_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise OSError(28, "No space left on device")

    assert exit_code(ask, Doorway({})) == 1
    said = capsys.readouterr().err
    assert "this is a bug in aqm" in said
    Path(said.split()[-1]).unlink()


@pytest.mark.parametrize("name", ["cost", "serve", "workers", "pipeline"])
def test_a_command_that_comes_later_is_not_taken_for_a_slip(name: str) -> None:
    shown = call(name, "x", "--with", "options")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr == f"error: aqm {name} is not built yet (see CHANGELOG.md).\n"


def test_what_is_built_is_not_said_to_come_later() -> None:
    assert LATER.isdisjoint(NAMES)
