"""Runs the reference's examples as a reader would: a project, the page's files, the commands to type."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aqm.cli.app import aqm
from aqm.flow.state import TaskStatus
from tests.docs.pages import CONFIG, PARAMS, SCRIPT, Block, Words, names, parts

__all__ = ["Example", "Played", "examples", "rehearse", "typed", "without_order"]

_COMMAND = 'aqm run "the task"'
_USAGE = 2
_SECONDS = 20
_ID = re.compile(r"T-[A-Z0-9]{6}")
_STATUS = rf"(?:.*?`(?P<status>{'|'.join(TaskStatus)})`)?"
_STAGES = re.compile(rf"Stages:\s+`(?P<path>[^`]+)`{_STATUS}.*", re.DOTALL)
_SPEAKERS = re.compile(r"Speakers:\s+`(?P<path>[^`]+)`.*", re.DOTALL)
_SPOKEN = ("speak", "summary")
_MAKING = ("run", "fix")


@dataclass(slots=True)
class Example:
    """A pipeline, a script for it, and what the page says will happen. `files` are by path in the project."""

    script: Block
    files: dict[str, str]
    commands: list[str] = field(default_factory=list)
    stages: str = ""
    status: str = "completed"
    speakers: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    status: str
    stages: list[str]
    speakers: list[str]
    printed: str


def examples() -> list[Example]:
    return [example for page in names() for example in _examples(page)]


def _examples(page: str) -> list[Example]:
    found: list[Example] = []
    files: dict[str, str] = {}
    for part in parts(page):
        last = found[-1] if found else None
        match part:
            case Block(language="yaml", title="script.yaml"):
                found.append(Example(part, {**files, SCRIPT: part.text}))
            case Block() if part.is_pipeline:
                files[part.title or ".aqm/pipelines/default.yaml"] = part.text
            case Block(language="yaml", title=title) if title in (CONFIG, PARAMS):
                files[title] = part.text
            case Block(language="yaml", title=title) if title.endswith(".yaml"):
                files[f".aqm/pipelines/{title}"] = part.text
            case Block(language="console") if last and not last.stages:
                last.commands += typed(part)
            case Words(text=text) if last and not last.stages and (said := _STAGES.fullmatch(text)):
                last.stages, last.status = said["path"], said["status"] or last.status
            case Words(text=text) if last and (said := _SPEAKERS.fullmatch(text)):
                last.speakers = said["path"]
    return found


def typed(block: Block) -> list[str]:
    """The commands of a console block; a backslash goes on in the next line."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line[2:].strip() for line in lines if line.startswith("$ ")]


def without_order(path: str, names: list[str]) -> list[str]:
    """`names` written as `path` is: what it parts by commas may come in any order."""
    rest, told = list(names), []
    for group in path.split("→"):
        wanted = [name.strip() for name in group.split(",")]
        found, rest = rest[: len(wanted)], rest[len(wanted) :]
        told += [", ".join(wanted if sorted(found) == sorted(wanted) else found)]
    return [*told, *rest]


def rehearse(example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """The task after all commands, or after one `aqm run` where the page types none."""
    (folder / ".aqm").mkdir()
    for path, text in example.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AQM_SCRIPT", str(folder / SCRIPT))
    monkeypatch.setenv("AQM_SLOTS", "1")  # one turn at a time, so that stages open in one order
    project = _Project()
    for line in example.commands or [_COMMAND]:
        words = shlex.split(line)
        if words[0] == "aqm":
            project.call(words[1:])
    return project.played()


@contextmanager
def _no_longer_than(seconds: int, words: list[str]) -> Iterator[None]:
    """A task that does not come to rest fails the test, instead of keeping the suite."""

    def stop(*_: object) -> None:
        pytest.fail(f"aqm {shlex.join(words)} does not end")  # no Exception: aqm would call it a bug

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class _Project:
    """`aqm` in the current folder's project; `ids` leads from the page's task ids to the real ones."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.task = ""
        self.made: set[str] = set()
        self.printed = ""

    def call(self, words: list[str]) -> None:
        words = [_ID.sub(lambda found: self.ids.setdefault(found[0], self.task), word) for word in words]
        with _no_longer_than(_SECONDS, words):
            shown = CliRunner().invoke(aqm, words)
        self.printed += f"$ aqm {shlex.join(words)}\n{shown.output}"
        assert shown.exit_code != _USAGE, self.printed
        made = [task for task in _ID.findall(shown.stdout) if task not in self.made]
        if words[0] in _MAKING and made:
            self.task = made[0]
            self.made.add(self.task)

    def played(self) -> Played:
        assert self.task, self.printed
        task = self._json("status", self.task, "--json")
        entries = self._json("logs", self.task, "--json")["entries"]
        stages = sorted(task["stages"], key=lambda stage: int(stage["number"]))
        return Played(
            task["status"],
            [stage["agent"] for stage in stages if stage["status"] != "dropped"],
            [entry["agent"] for entry in entries if entry["kind"] in _SPOKEN],
            self.printed,
        )

    def _json(self, *words: str) -> Any:
        shown = CliRunner().invoke(aqm, list(words))
        assert shown.exit_code == 0, shown.output
        return json.loads(shown.stdout)
