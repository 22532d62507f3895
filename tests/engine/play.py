"""Plays a pipeline through the real engine, turn by turn in this thread, with scripted agents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aqm.engine.conduct import conduct
from aqm.engine.identity import identity
from aqm.engine.prompting import Prepared, prepare
from aqm.engine.run_turn import run_turn
from aqm.engine.worker import AnyBell, Consent, Worker
from aqm.flow.event import Event, EventKind
from aqm.flow.state import TaskStatus, TurnKind
from aqm.runtimes.base import Host, Live
from aqm.service.project import Project, find_project
from aqm.service.store import Store, open_store
from aqm.service.submission import submit
from aqm.service.tasks import events, task_detail
from aqm.service.views import TaskDetail
from aqm.storage import bells, migrate
from aqm.storage.bells import RoundBell
from aqm.storage.claims import Claim
from aqm.storage.database import Database, now

__all__ = ["APPROVED", "REJECTED", "Stage", "agent", "commanded", "play_in", "said", "session", "walked"]

APPROVED = {"verdict": "approved", "reason": "fine"}
REJECTED = {"verdict": "rejected", "reason": "no tests"}


def agent(id: str, *to: str, **keys: Any) -> dict[str, Any]:
    handoffs = [{"to": name} for name in to]
    return {"id": id, "runtime": "claude", "permissions": "edit", "handoffs": handoffs, **keys}


def session(id: str, *participants: str, **keys: Any) -> dict[str, Any]:
    return {"id": id, "type": "session", "participants": list(participants), **keys}


def said(*lines: str) -> dict[str, str]:
    return {"say": "\n".join(lines)}


def walked(detail: TaskDetail) -> list[str]:
    return [stage.agent for stage in detail.stages]


def commanded(id: str, *command: str, **keys: Any) -> dict[str, Any]:
    """An agent that is a real program."""
    return {"id": id, "runtime": "command", "command": list(command), **keys}


@dataclass(frozen=True)
class Told:
    """What a turn's CLI was given."""

    agent: str
    kind: TurnKind
    text: str
    system: str
    schema: Any
    round: int
    sha: str


@dataclass
class Stage:
    """A project on a stage: `begin` submits a task, `step` runs the next turn, `play` runs all."""

    root: Path
    environ: Mapping[str, str]
    agents: Sequence[Mapping[str, Any]]
    says: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    rung: list[AnyBell] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    task: str = ""
    top: Mapping[str, Any] = field(default_factory=dict)  # the document's other keys
    real: bool = False  # call the real programs instead of the script

    def __post_init__(self) -> None:
        folder = self.root / ".aqm"
        (folder / "pipelines").mkdir(parents=True, exist_ok=True)
        document = {**self.top, "agents": list(self.agents)}
        (folder / "pipelines" / "default.yaml").write_text(json.dumps(document))
        (folder / "config.yaml").write_text(json.dumps(dict(self.config)))
        self.script = self.root / "script.yaml"
        self.script.write_text(json.dumps({"pace": 0, "agents": dict(self.says)}))
        self.project: Project = find_project(self.root, self.environ)
        if "AQM_DATABASE_URL" in self.environ:
            database = Database(self.environ["AQM_DATABASE_URL"])
            migrate.upgrade(database)
            database.close()

    def worker(self, store: Store, **changes: Any) -> Worker:
        hands: Worker
        seen: set[str] = set()

        def see(claim: Claim, live: Live) -> None:
            """While a turn runs, what it was made of is still as it was."""
            made = prepare(hands, claim)
            if claim.attempt not in seen and isinstance(made, Prepared):
                seen.add(claim.attempt)
                prompt = made.prompt
                what = (prompt.text, prompt.system, prompt.schema, claim.round, made.proof[0])
                self.told.append(Told(claim.agent, claim.kind, *what))

        keys: dict[str, Any] = {
            "on_live": see,
            "database": store.database,
            "name": identity(),
            "owner": identity() if store.embedded else None,
            "host": Host(environ=self.environ, script=None if self.real else self.script),
            "workspace": lambda task: self.root,
            "consent": Consent(allow_unconfined=True),
            "lease": 30.0,
            "ring": self.rung.extend,
        }
        hands = Worker(**{**keys, **changes})
        return hands

    def begin(self, text: str = "the task", **keys: Any) -> str:
        self.task = submit(self.project, text, own="AQM_DATABASE_URL" not in self.environ, **keys).id
        return self.task

    def due(self, worker: Worker, at: float | None = None) -> None:
        """Ring what is due, as the sweep would; `at` looks ahead."""
        with worker.database.writing() as connection:
            if at is not None:
                bells.at_once(connection, self.task)
            self.rung.extend(worker.take_bells(connection, now(connection)))

    def run(self, worker: Worker, *, ahead: bool = True) -> None:
        """All turns; with `ahead` also those that wait for their time."""
        for _ in range(200):
            if not self.rung and self._stalled():
                return
            self.due(worker, at=0 if ahead else None)
            if not self.rung:
                return
            while self.rung:
                self.hear(worker, self.rung.pop(0))
        raise AssertionError("the task does not come to rest")

    def hear(self, worker: Worker, bell: AnyBell) -> None:
        """What a worker does when a bell is rung."""
        if isinstance(bell, RoundBell):
            conduct(worker, bell.stage, bell.round, "message")
        else:
            run_turn(worker, bell.turn, "message")

    def _stalled(self) -> bool:
        return self.detail().task.status is TaskStatus.STALLED

    def go_on(self, *, ahead: bool = True) -> TaskDetail:
        """After a person's word, a restart or a pause."""
        with open_store(self.project) as store:
            self.run(self.worker(store), ahead=ahead)
        return self.detail()

    def prompts(self, agent: str, kind: TurnKind = TurnKind.WORK) -> list[str]:
        """What the agent's turns of that kind were given, in order."""
        return [told.text for told in self.told if (told.agent, told.kind) == (agent, kind)]

    def happened(self, kind: EventKind) -> list[Event]:
        return [event for event in self.events() if event.kind is kind]

    def detail(self) -> TaskDetail:
        return task_detail(self.project, self.task)

    def events(self) -> tuple[Event, ...]:
        return events(self.project, self.task)

    def play(self, text: str = "the task", **keys: Any) -> TaskDetail:
        self.begin(text, **keys)
        return self.go_on()


def play_in(root: Path, agents: Sequence[Mapping[str, Any]], says: Mapping[str, Any], **keys: Any) -> Stage:
    return Stage(root, keys.pop("environ", {}), agents, says, **keys)
