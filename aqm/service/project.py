"""The project: the nearest folder upwards with `.aqm`, and what a new one is given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aqm.errors import NotFoundError, ProjectError, did_you_mean
from aqm.settings import Settings

__all__ = [
    "Project",
    "Template",
    "create_project",
    "find_project",
    "installed_runtime",
    "template_text",
    "templates",
    "write_demo",
    "write_project",
]

FOLDER = ".aqm"
SCHEMA = "pipeline.schema.json"
# For editors with the YAML language server: what the words of a pipeline mean, and which are wrong, while one
# types. The schema lies beside the pipelines, so that this works without a network.
_FIRST_LINE = f"# yaml-language-server: $schema=../{SCHEMA}\n"
_TEMPLATES = Path(__file__).parent / "templates"
_CLIS = ("claude", "gemini", "codex")  # in this order a new project's agents are given the first one found

_CONFIG = """\
# Settings of this project. All have defaults, so this file may stay as it is; a variable wins over it
# (AQM_DEFAULT_PIPELINE, AQM_TIMEOUTS__CLAUDE: AQM_ and the path in capitals, __ between levels).

# default_pipeline: default   # what `aqm run` uses without --pipeline
# timeouts:                   # seconds that one turn may take
#   claude: 600
# idle_timeouts:              # seconds that it may say nothing
#   claude: 300
# permissions:
#   allow_full: false         # agents with `permissions: full` may run
#   allow_unconfined: false   # agents with `permissions: run` may run where nothing confines them
"""
_IGNORE = """\
# What aqm writes while it works stays out of the repository; what people write belongs to it, and so does the
# schema that their pipelines name, for who has no aqm yet. `aqm init` brings it up to date.
*
!.gitignore
!aqm.lock
!agents.yaml
!config.yaml
!params.yaml
!pipeline.schema.json
!pipelines/
!pipelines/**
"""


@dataclass(frozen=True, slots=True)
class Project:
    root: Path
    settings: Settings

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    @property
    def pipelines(self) -> Path:
        return self.folder / "pipelines"


@dataclass(frozen=True, slots=True)
class Template:
    name: str
    about: str


def find_project(start: Path, environ: Mapping[str, str]) -> Project:
    """The project of the nearest folder upwards from `start`."""
    start = start.resolve()
    for root in (start, *start.parents):
        if (root / FOLDER).is_dir():
            return Project(root, Settings.load(root / FOLDER, environ))
    raise ProjectError(f"There is no aqm project in {start} or above it.", cure="Create one with: aqm init")


def create_project(path: Path, environ: Mapping[str, str], *, template: str = "default") -> Project:
    """A project in `path`; whatever is there already stays as it is."""
    write_project(path, environ, template=template)
    return find_project(path, environ)


def write_project(
    path: Path, environ: Mapping[str, str], *, template: str = "default", pipeline: str = "default"
) -> tuple[Path, ...]:
    """Write the files of a project that are missing, and this version's schema; which ones were written."""
    folder = path / FOLDER
    texts = {
        folder / ".gitignore": _IGNORE,
        folder / "config.yaml": _CONFIG,
        folder / "pipelines" / f"{pipeline}.yaml": template_text(
            template, installed_runtime(environ) or _CLIS[0]
        ),
    }
    try:
        written = [file for file, text in texts.items() if _write(file, text)]
        written += [folder / SCHEMA] if _write_schema(folder / SCHEMA) else []
    except OSError as error:
        raise ProjectError(
            f"{error.filename or folder} cannot be written: {error.strerror}.",
            cure="Choose a folder that you may write to.",
        ) from None
    return tuple(written)


def write_demo(path: Path, runtime: str) -> None:
    """The project of `aqm demo`: a tiny program, and a team of three on `runtime`."""
    demo = _TEMPLATES / "demo"
    pipeline = (demo / "pipeline.yaml").read_text(encoding="utf-8")
    _write(path / "app.py", (demo / "app.py.txt").read_text(encoding="utf-8"))
    _write(path / FOLDER / "config.yaml", _CONFIG)
    _write(path / FOLDER / ".gitignore", _IGNORE)
    _write_schema(path / FOLDER / SCHEMA)
    _write(path / FOLDER / "pipelines" / "default.yaml", _on(runtime, pipeline))


def _write(file: Path, text: str) -> bool:
    """Whether the file was missing. `x` refuses what exists, also what came into being just now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    return True


def _write_schema(file: Path) -> bool:
    """Whether the file was missing, or that of another version of aqm."""
    from aqm.pipeline.schema import json_schema

    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    with suppress(OSError, UnicodeDecodeError):
        if file.read_text(encoding="utf-8") == text:
            return False
    file.unlink(missing_ok=True)  # a link is replaced, not followed
    return _write(file, text)


# Templates -------------------------------------------------------------------------------------


def templates() -> tuple[Template, ...]:
    """The pipelines that come with aqm, `default` first."""
    names = sorted(
        (file.stem for file in _TEMPLATES.glob("*.yaml")), key=lambda name: (name != "default", name)
    )
    return tuple(Template(name, _about(name)) for name in names)


def template_text(name: str, runtime: str = "claude") -> str:
    """The template's text, its agents on `runtime`."""
    known = [file.stem for file in _TEMPLATES.glob("*.yaml")]
    if name not in known:
        raise NotFoundError(f"There is no template {name!r};", cure=did_you_mean(name, known))
    return _on(runtime, (_TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8"))


def _on(runtime: str, text: str) -> str:
    return _FIRST_LINE + text.replace("runtime: claude", f"runtime: {runtime}")


def installed_runtime(environ: Mapping[str, str]) -> str | None:
    """The first agent CLI on this host's PATH, or None."""
    path = environ.get("PATH", "")
    return next((name for name in _CLIS if shutil.which(name, path=path)), None)


def _about(name: str) -> str:
    lines = template_text(name).splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("description:"))
