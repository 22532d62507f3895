"""A script: the answers that the scripted runtime gives, read from a YAML file.

pace: 0.03                  # seconds between the pieces of a text; 0 says it all at once
default: {say: "Fine."}     # for agents without answers of their own; left out, they echo
agents:
  developer:                # a list holds the answers of the visits in order; the last one repeats
    - steps: [{think: "…"}, {tool: Write, summary: app.py, write: {app.py: "…"}}, {say: "Done."}]
    - [{fail: overloaded}, {say: "The second attempt."}]      # a list inside: by attempt
  reviewer:                 # or by kind of turn: work, gate, repair, route, speak, summary
    work: {say: "Looks good."}
    gate: [{verdict: rejected, reason: "No tests."}, {verdict: approved, reason: "Now it has."}]
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from aqm.errors import Fault, SettingsError, did_you_mean
from aqm.flow.outcome import FailureClass
from aqm.flow.state import TurnKind

__all__ = ["DEMO", "Fail", "Reply", "Script", "Spent", "Step", "load", "reply_for"]

DEMO = Path(__file__).parent / "conversations" / "demo.yaml"

Seconds = Annotated[float, Field(ge=0)]


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if not path.strip() or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise ValueError("the path must lie inside the workspace")
    return path


Files = dict[Annotated[str, AfterValidator(_inside)], str]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Spec):
    """One thing that happens in a turn, in this order: pause, think, say, tool, write, notice."""

    pause: Seconds = 0.0
    think: str = ""
    say: str = ""
    tool: str = ""
    summary: str = ""
    ok: bool = True
    takes: Seconds = 0.0  # how long the tool runs
    result: str = ""  # one line of what the tool gave
    write: Files = {}
    notice: str = ""


class Fail(_Spec):
    """The turn fails; a bare class name will do."""

    kind: FailureClass
    message: str = "as the script says"
    resets_in: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return {"kind": data} if isinstance(data, str) else data


class Spent(_Spec):
    input: Annotated[int, Field(ge=0)] | None = None
    cached: Annotated[int, Field(ge=0)] | None = None
    output: Annotated[int, Field(ge=0)] | None = None
    reasoning: Annotated[int, Field(ge=0)] | None = None
    cost_usd: Annotated[float, Field(ge=0)] | None = None


class Reply(_Spec):
    """The whole of one turn. Without `say` the answer is the last `say` of the steps, or the echo."""

    steps: tuple[Step, ...] = ()
    delay: Seconds = 0.0  # silence before the first step
    hang: bool = False  # silence until a limit or a stop ends the turn
    say: str | None = None
    verdict: Literal["approved", "rejected"] | None = None
    reason: str = ""
    fields: dict[str, Any] | None = None
    fail: Fail | None = None
    usage: Spent = Spent()
    denied: tuple[str, ...] = ()
    conversation: str | None = None


Attempts = tuple[Reply, ...]
Visits = tuple[Attempts, ...]


def _visits(data: Any) -> Any:
    """One reply, a list of them by visit, and inside it lists by attempt: all become lists of lists."""
    listed = data if isinstance(data, list) else [data]
    return [visit if isinstance(visit, list) else [visit] for visit in listed]


class Part(_Spec):
    """What one agent says, by kind of turn."""

    work: Visits = ()
    gate: Visits = ()
    repair: Visits = ()
    route: Visits = ()
    speak: Visits = ()
    summary: Visits = ()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if isinstance(data, dict) and data and data.keys() <= set(TurnKind):
            return {kind: _visits(replies) for kind, replies in data.items()}
        return {"work": _visits(data)}


class Script(_Spec):
    pace: Seconds = 0.0
    default: Part | None = None
    agents: dict[str, Part] = {}


# Choosing --------------------------------------------------------------------------------------------


def reply_for(script: Script, agent: str, kind: TurnKind, visit: int, attempt: int) -> Reply | None:
    """The reply of that turn; None when the script has none for it. What runs out repeats its last."""
    for part in (script.agents.get(agent), script.default):
        visits: Visits = getattr(part, kind.value) if part else ()
        if visits:
            attempts = visits[min(max(visit, 1), len(visits)) - 1]
            return attempts[min(max(attempt, 1), len(attempts)) - 1] if attempts else None
    return None


# Reading ---------------------------------------------------------------------------------------------


def load(path: Path) -> Script:
    """The script in the file; read again only when the file has changed."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise SettingsError(f"the script {path} cannot be read: {error.strerror}") from None
    return _load(path, changed)


@lru_cache(maxsize=32)
def _load(path: Path, changed: int) -> Script:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        data = yaml.load(text, Loader=yaml.CSafeLoader) or {}
        return Script.model_validate(data)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the script {path} cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        raise SettingsError(str(_yaml_fault(path, error))) from None
    except yaml.YAMLError as error:
        raise SettingsError(f"the script {path} is no YAML: {error}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_faults(path, error, root))) from None


def _yaml_fault(path: Path, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Fault(f"this is no YAML: {error.problem}", str(path), line, column)


def _faults(path: Path, error: ValidationError, root: yaml.Node | None) -> list[str]:
    """Where each mistake is: the file's line, and the path that the author wrote."""
    lines = []
    for mistake in error.errors(include_url=False, include_context=False):
        node, words = root, ""
        for step in mistake["loc"]:
            found = _child(node, step)
            if found is not None:  # a step of ours, such as the list around a single reply
                node = found
                words += f"[{step}]" if isinstance(step, int) else f".{step}"
        key = str(mistake["loc"][-1]) if mistake["loc"] else ""
        lines.append(str(_fault(path, mistake["type"], mistake["msg"], key, words, node)))
    return lines


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]  # type: ignore[no-any-return]  # PyYAML's nodes are untyped
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None


def _fault(path: Path, kind: str, message: str, key: str, words: str, node: yaml.Node | None) -> Fault:
    line = node.start_mark.line + 1 if node is not None else None
    column = node.start_mark.column + 1 if node is not None else None
    if kind == "extra_forbidden":
        known = {*Reply.model_fields, *Step.model_fields, *Part.model_fields, *Script.model_fields}
        message, cure = f"a script has no key {key!r} here", did_you_mean(key, known)
    else:
        message, cure = message.removeprefix("Value error, "), ""
    return Fault(message, str(path), line, column, words.removeprefix("."), cure)
