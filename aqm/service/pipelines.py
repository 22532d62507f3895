"""A project's pipelines: which there are, one of them resolved, and the verdict on a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqm.errors import Fault, NotFoundError, PipelineError, did_you_mean
from aqm.service.project import Project
from aqm.service.views import PipelineView, Validation

if TYPE_CHECKING:
    from aqm.pipeline.advice import HostFacts
    from aqm.pipeline.resolve import Loaded

__all__ = ["file_values", "load_pipeline", "pipeline_views", "validate_file"]

_LEGACY = "agents.yaml"  # of 1.x: it is `default` where there is no pipelines/default.yaml
_DEFAULT = "default"
_PARAMS = "params.yaml"
_NOTHING: Mapping[str, str] = {}


def pipeline_views(project: Project) -> tuple[PipelineView, ...]:
    """The project's pipelines by name."""
    files = {file.stem: file for file in project.pipelines.glob("*.yaml")}
    legacy = project.folder / _LEGACY
    if legacy.is_file():
        files.setdefault(_DEFAULT, legacy)
    default = project.settings.default_pipeline
    return tuple(PipelineView(name, files[name], name == default) for name in sorted(files))


def load_pipeline(
    project: Project,
    name: str | None,
    params: Mapping[str, str],
    *,
    required: bool = True,
    host: HostFacts | None = None,
) -> Loaded:
    """The pipeline of that name, or the default one, resolved.

    Raises NotFoundError with the nearest name, and PipelineError with all faults; also, when `required`,
    for required params without a value.
    """
    file = _file(project, name or project.settings.default_pipeline)
    loaded = _load(project.root, file, params, file_values(project), host)
    if required and loaded.missing:
        faults = [_missing(name, loaded) for name in loaded.missing]
        raise PipelineError(faults)
    return loaded


def validate_file(
    path: Path | None, project: Project | None, name: str | None, host: HostFacts | None = None
) -> Validation:
    """All that is wrong or doubtful in the file `path`, or in the project's pipeline `name`."""
    if path is None:
        assert project is not None, "a name belongs to a project"
        path = _file(project, name or project.settings.default_pipeline)
    path = path.resolve()
    inside = project is not None and path.is_relative_to(project.root)
    root = project.root if project is not None and inside else path.parent
    shown = path.relative_to(root).as_posix()
    try:
        values = file_values(project) if project is not None and inside else _NOTHING
        return Validation(shown, _load(root, path, _NOTHING, values, host).warnings)
    except PipelineError as error:
        return Validation(shown, error.faults)


def file_values(project: Project) -> Mapping[str, Any]:
    """The values in .aqm/params.yaml, by name."""
    from aqm.pipeline.params import read_values

    file = project.folder / _PARAMS
    shown = file.relative_to(project.root).as_posix()
    try:
        text = _reader(project.root)(shown)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PipelineError([Fault(f"it cannot be read: {error}", shown)]) from None
    return read_values(text, shown)


def _file(project: Project, name: str) -> Path:
    views = {view.name: view.file for view in pipeline_views(project)}
    if name in views:
        return views[name]
    if not views:
        raise NotFoundError(
            f"There is no pipeline in {project.pipelines}.", cure="Write a first one with: aqm init"
        )
    raise NotFoundError(f"There is no pipeline {name!r};", cure=did_you_mean(name, views))


def _load(
    root: Path, file: Path, params: Mapping[str, str], values: Mapping[str, Any], host: HostFacts | None
) -> Loaded:
    from aqm.pipeline.resolve import load
    from aqm.runtimes import RUNTIMES

    path = file.relative_to(root).as_posix()
    return load(path, _reader(root), given=params, file_values=values, runtimes=RUNTIMES, host=host)


def _reader(root: Path) -> Callable[[str], str]:
    """Reads files below `root`; a link that leads out of it is refused."""
    root = root.resolve()

    def read(path: str) -> str:
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            raise PermissionError(path)
        return file.read_text(encoding="utf-8")

    return read


def _missing(name: str, loaded: Loaded) -> Fault:
    about = loaded.params[name].description
    what = f" ({about})" if about else ""
    return Fault(f"the param {name!r}{what} has no value", cure=f"give one with  -p {name}=VALUE")
