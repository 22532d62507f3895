"""A host on which one runtime can be run: its CLI is a script that does what the test says."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome
from aqm.runtimes import get
from aqm.runtimes.base import Host, Live, Prompt, Stop, Text
from aqm.runtimes.tree import Protection
from tests.runtimes.dialects import DIALECTS

__all__ = ["AGENT_CLI", "BIN", "Bench"]

BIN = Path(__file__).parents[1] / "bin"
AGENT_CLI = BIN / "agent_cli.py"
Act = list[Any]


class Bench:
    """Runs turns of one runtime; `acts` is what its CLI does, `live` what was heard of the last turn."""

    def __init__(self, runtime: str, tmp_path: Path, protection: Protection = "group") -> None:
        self.runtime = runtime
        self.log = tmp_path / "given.jsonl"
        self.workspace = tmp_path / "workspace"
        self.workspace.mkdir(exist_ok=True)
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        environ = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8"}
        environ |= {"TMPDIR": str(tmp_path), "PLAY_LOG": str(self.log)}
        self.host = Host(environ=environ, pass_env=("PLAY", "PLAY_LOG"), protection=protection)
        self.prompt = Prompt(
            text="say hi",
            workspace=self.workspace,
            agent="developer",
            command=(str(AGENT_CLI),) if runtime == "command" else (),
            timeout=20.0,
            idle_timeout=20.0,
            mark=uuid.uuid4().hex,
        )
        self.live: list[Live] = []

    def plays(self, *acts: Act, deaf: bool = False) -> None:
        play = [["deaf"], *acts] if deaf else list(acts)
        self.set(PLAY=json.dumps(play))

    def set(self, **variables: str) -> None:
        self.host = replace(self.host, environ={**self.host.environ, **variables})

    def scripted(self, reply: dict[str, Any]) -> None:
        path = self.log.with_name("script.yaml")
        path.write_text(yaml.safe_dump({"agents": {"developer": [reply]}}, allow_unicode=True))
        self.host = replace(self.host, script=path)

    # What every runtime can be made to do ------------------------------------------------------------

    def says(self, text: str) -> None:
        """It answers with the text."""
        if self.runtime == "scripted":
            self.scripted({"say": text})
        elif self.runtime == "command":
            self.plays(["say", text, {"end": ""}])
        else:
            self.plays(*(["say", line] for line in DIALECTS[self.runtime].answer(text)))

    def hangs(self, after: str = "") -> None:
        """It says `after`, and nothing more."""
        if self.runtime == "scripted":
            self.scripted({"steps": [{"say": after}, {"pause": 60}]})
            return
        lines = [after] if self.runtime == "command" else DIALECTS[self.runtime].unfinished(after)
        said = [["say", line, {"end": "" if self.runtime == "command" else "\n"}] for line in lines]
        self.plays(*(said if after else []), ["sleep", 60])

    # Running -------------------------------------------------------------------------------------------

    def run(self, stop: Stop | None = None, **changes: Any) -> Outcome:
        self.live = []
        prompt = replace(self.prompt, **changes)
        stop = Stop() if stop is None else stop  # an unset Stop is false
        return get(self.runtime, self.host).run(prompt, self.host, self.live.append, stop)

    def answer(self, **changes: Any) -> Answer:
        outcome = self.run(**changes)
        assert isinstance(outcome, Answer), outcome
        return outcome

    def fail(self, kind: FailureClass, **changes: Any) -> Failure:
        outcome = self.run(**changes)
        assert isinstance(outcome, Failure), outcome
        assert outcome.kind is kind, outcome
        return outcome

    @property
    def given(self) -> dict[str, Any]:
        """What the CLI was given at its last start: argv, stdin, env, pid."""
        given: dict[str, Any] = json.loads(self.log.read_text().splitlines()[-1])
        return given

    @property
    def said(self) -> str:
        """The live text."""
        return "".join(event.text for event in self.live if isinstance(event, Text))
