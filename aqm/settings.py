"""Settings: read once, at the doorway, from `.aqm/config.yaml` and the environment, and passed down.

A variable wins over the file. Its name is `AQM_` and the key's path in capitals, with `__` between levels:
`AQM_PIPELINE__MAX_STAGES`, `AQM_TIMEOUTS__CLAUDE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, SecretStr

from aqm.document.model import Spec
from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Node, Place, Scalar, Sequence
from aqm.document.parser import parse, value_of
from aqm.document.validation import place_of, validate
from aqm.errors import Fault, PipelineError, SettingsError, did_you_mean

__all__ = [
    "FlagSettings",
    "GateSettings",
    "LimitSettings",
    "PermissionSettings",
    "PipelineSettings",
    "RetentionSettings",
    "RouterSettings",
    "Settings",
]

FILE = "config.yaml"
TIMEOUT = 600.0
IDLE_TIMEOUT = 300.0

_PREFIX = "AQM_"
_NOT_OURS = frozenset({"AQM_MARK"})  # what a turn's processes are found by; an agent may call aqm itself
_FROM_ENVIRON = ("token", "script")  # never in a file: a secret, and what would silently replace every agent
_SEPARATORS = {("pass_env",): ",", ("flags", "allow"): ",", ("sandbox_write",): ":"}
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"

Seconds = Annotated[float, Field(gt=0)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Count = Annotated[int, Field(ge=1)]


class PipelineSettings(Spec):
    max_stages: Count = Field(20, description="The most stages of a task.")


class GateSettings(Spec):
    """Judges that say nothing else."""

    runtime: str | None = Field(None, description="The runtime of judges.")
    model: str | None = Field(None, description="The model of judges.")
    timeout: Seconds = Field(120.0, description="Seconds that a judge may take.")
    system_prompt: str | None = Field(None, description="What judges are told; ours when left out.")


class RouterSettings(Spec):
    runtime: str | None = Field(None, description="The runtime of `entry_point: auto` and `auto_detect`.")


class PermissionSettings(Spec):
    """Consent to what nothing confines."""

    allow_full: bool = Field(False, description="Agents with `permissions: full` may run.")
    allow_unconfined: bool = Field(
        False, description="Agents with `permissions: run` may run where nothing confines them."
    )


class FlagSettings(Spec):
    allow: Texts = Field((), description="Flags that widen permissions and may be used nevertheless.")


class RetentionSettings(Spec):
    days: int = Field(0, ge=0, description="How long ended tasks are kept; 0 is for ever.")


class LimitSettings(Spec):
    """What one task, request or answer may be at most."""

    body_bytes: Count = Field(1_048_576, description="Of a request.")
    output_bytes: Count = Field(10_000_000, description="Of an answer.")
    stages: Count = Field(2_000, description="Of a task, whatever pipeline.max_stages says.")
    attempts: Count = Field(1_000, description="Of a task.")
    fan_out: Count = Field(32, description="Branches that one stage opens.")
    depth: Count = Field(8, description="Fan-outs inside each other.")
    task_tokens: Count | None = Field(None, description="Of a task; none means no limit.")
    task_cost_usd: Annotated[float, Field(gt=0)] | None = Field(None, description="Of a task.")
    day_tokens: Count | None = Field(None, description="Of a project and a day.")
    day_cost_usd: Annotated[float, Field(gt=0)] | None = Field(None, description="Of a project and a day.")


class Settings(Spec):
    """Every setting, with its default."""

    default_pipeline: str = Field("default", min_length=1, description="What `aqm run` uses.")
    pipeline: PipelineSettings = PipelineSettings()
    gate: GateSettings = GateSettings()
    router: RouterSettings = RouterSettings()
    timeouts: dict[str, Seconds] = Field({}, description="Seconds that a turn may take, by runtime.")
    idle_timeouts: dict[str, Seconds] = Field({}, description="Seconds that it may be silent, by runtime.")
    concurrency: dict[str, Count] = Field(
        {}, description="Slots in all, by <runtime>, <runtime>/<model> or pipeline/<name>."
    )
    slots: Count = Field(8, description="Turns at once of the embedded worker.")
    permissions: PermissionSettings = PermissionSettings()
    flags: FlagSettings = FlagSettings()
    sandbox: Literal["required", "preferred", "off"] | None = Field(
        None, description="preferred alone and required on team workers, when left out."
    )
    sandbox_write: Texts = Field((), description="Folders that agents may write besides their workspace.")
    pass_env: Annotated[tuple[Annotated[str, Field(pattern=_VARIABLE)], ...], Field(strict=False)] = Field(
        (), description="Names of variables that CLIs are given, without $."
    )
    database_url: str | None = Field(None, min_length=1, description="The team's database.")
    broker_url: str | None = Field(None, min_length=1, description="The team's Redis.")
    server: str | None = Field(
        None, pattern=r"^https?://[^/\s]+", description="The address of the team's server, https://…"
    )
    project: str | None = Field(None, min_length=1, description="The project's name on the server.")
    token: SecretStr | None = Field(None, description="What the server knows us by; only from AQM_TOKEN.")
    script: Annotated[Path | None, Field(strict=False)] = Field(
        None, description="Answers for every runtime, from a file; only from AQM_SCRIPT."
    )
    lease_seconds: Annotated[float, Field(ge=1)] = Field(
        30.0, description="How long a silent worker is believed."
    )
    retention: RetentionSettings = RetentionSettings()
    limits: LimitSettings = LimitSettings()

    @classmethod
    def load(cls, folder: Path, environ: Mapping[str, str]) -> Self:
        """The settings of the project in `folder` (`.aqm`). SettingsError with all that is wrong."""
        path = folder / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        except UnicodeError as error:
            raise SettingsError(f"{path} is no UTF-8 text.", cure="Save it as UTF-8.") from error
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SettingsError(
                f"{path} cannot be read: {why}.", cure="Make it a file that you may read."
            ) from error
        return cls.from_text(text, environ, file=f"{folder.name}/{FILE}")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        return cls.from_text("", environ)

    @classmethod
    def from_text(cls, text: str, environ: Mapping[str, str], *, file: str = FILE) -> Self:
        """The settings of the file's `text` and the variables."""
        written, faults = _of_file(text, file)
        node, unknown = _with_variables(written, environ)
        settings, wrong = validate(cls, node)
        faults += [*unknown, *wrong]
        if settings is not None:
            faults += _both_ways(settings, node)
        if settings is None or faults:
            raise SettingsError("\n".join(str(fault) for fault in faults))
        return settings

    def timeout_for(self, runtime: str) -> float:
        return self.timeouts.get(runtime, TIMEOUT)

    def idle_timeout_for(self, runtime: str) -> float:
        return self.idle_timeouts.get(runtime, IDLE_TIMEOUT)


def _of_file(text: str, file: str) -> tuple[MappingNode, list[Fault]]:
    nothing = MappingNode({}, Place(file))
    if not re.search(r"^\s*[^#\s]", text, re.MULTILINE):
        return nothing, []
    try:
        node = parse(text, file)
    except PipelineError as error:
        return nothing, list(error.faults)
    if not isinstance(node, MappingNode):
        return nothing, [node.place.fault("the file must be a mapping", "write  key: value  lines")]
    faults = [
        node.keys[key].fault(f"{key} does not belong in a file", f"set {_PREFIX}{key.upper()}")
        for key in _FROM_ENVIRON
        if key in node.entries
    ]
    return node.without(_FROM_ENVIRON), faults


# Variables ---------------------------------------------------------------------------------------


def _with_variables(node: MappingNode, environ: Mapping[str, str]) -> tuple[MappingNode, list[Fault]]:
    """The file's values with those of the environment over them, and the variables that mean nothing."""
    paths = dict(_paths(Settings))
    faults = []
    for name, text in sorted(environ.items()):
        if not name.startswith(_PREFIX) or name in _NOT_OURS or text == "":
            continue
        path = tuple(name.removeprefix(_PREFIX).lower().split("__"))
        if path not in paths and not (len(path) > 1 and all(path) and paths.get(path[:1]) == "mapping"):
            faults.append(Place(name).fault("there is no such setting", did_you_mean(name, _names(paths))))
        elif paths.get(path) in ("mapping", "section"):
            faults.append(
                Place(name).fault(f"{path[0]} holds several settings", f"set {name}__… for one of them")
            )
        else:
            node = _put(node, path, _value(path, name, text))
    return node, faults


def _paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every setting's path, and whether it is a value, a mapping or a section of settings."""
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield (*above, name), "section"
            yield from _paths(annotation, (*above, name))
        else:
            yield (*above, name), "mapping" if isinstance(field.default, dict) else "value"


def _names(paths: Mapping[tuple[str, ...], str]) -> list[str]:
    return [_PREFIX + "__".join(path).upper() for path, kind in paths.items() if kind == "value"]


def _value(path: tuple[str, ...], name: str, text: str) -> Node:
    place = Place(name, at=".".join(path))
    if path not in _SEPARATORS:
        return Scalar(value_of(text), place, text, inserted=True)  # text, where only text will do
    words = [word.strip() for word in text.split(_SEPARATORS[path])]
    return Sequence(tuple(Scalar(word, place, word) for word in words if word), place)


def _put(node: Node | None, path: tuple[str, ...], value: Node) -> Any:
    if not path:
        return value
    if not isinstance(node, MappingNode):
        node = MappingNode({}, value.place)
    below = _put(node.entries.get(path[0]), path[1:], value)
    return MappingNode({**node.entries, path[0]: below}, node.place, node.keys)


# Faults ------------------------------------------------------------------------------------------


def _both_ways(settings: Settings, node: MappingNode) -> list[Fault]:
    if settings.server is None or settings.database_url is None:
        return []
    place = place_of(node, "server")
    said = "server and database_url are both set, and a process uses one of them"
    cure = "unset server where workers and servers run, and database_url everywhere else"
    return [place.fault(said, cure)]
