"""A project's pipelines: which there are, one of them resolved, and the verdict on a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqm.errors import Fault, NotFoundError, PipelineError, did_you_mean
from aqm.service.project import Project
from aqm.service.views import PipelineView, Validation

if TYPE_CHECKING:
    from aqm.pipeline.advice import HostFacts
    from aqm.pipeline.resolve import Loaded
    from aqm.pipeline.spec import Param

__all__ = [
    "declared_params",
    "file_values",
    "load_pipeline",
    "pack_sources",
    "pipeline_views",
    "resolve_sources",
    "validate_file",
]

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
    return _load(project.root, file, params, file_values(project), host, required=required)


def declared_params(project: Project, name: str | None, params: Mapping[str, str]) -> Mapping[str, Param]:
    """What the pipeline's files declare, even if they are faulty as long as values lack.

    Raises PipelineError for `params` that are unknown or of the wrong type.
    """
    from aqm.pipeline.resolve import declared

    path = _file(project, name or project.settings.default_pipeline).relative_to(project.root).as_posix()
    return declared(path, _reader(project.root), given=params, file_values=file_values(project))


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
    root: Path,
    file: Path,
    params: Mapping[str, str],
    values: Mapping[str, Any],
    host: HostFacts | None,
    *,
    required: bool = False,
) -> Loaded:
    from aqm.pipeline.resolve import load
    from aqm.runtimes import RUNTIMES

    path = file.relative_to(root).as_posix()
    return load(
        path,
        _reader(root),
        given=params,
        file_values=values,
        runtimes=RUNTIMES,
        host=host,
        required=required,
    )


def _reader(root: Path) -> Callable[[str], str]:
    """Reads files below `root`; a link that leads out of it is refused."""
    root = root.resolve()

    def read(path: str) -> str:
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            raise PermissionError(path)
        return file.read_text(encoding="utf-8")

    return read


# Sources ---------------------------------------------------------------------------------------


def pack_sources(loaded: Loaded) -> str:
    """All that the pipeline was resolved from, as JSON text, so that it can be resolved again with other
    params, whatever has become of its files."""
    from aqm.document.nodes import Scalar
    from aqm.pipeline.references import as_text

    found = {name: value for name, value in loaded.file_values.items() if name in loaded.params}
    sources = {
        "path": loaded.path,
        "files": dict(loaded.texts),
        "given": dict(loaded.given),
        "file_values": {
            name: value.text if isinstance(value, Scalar) else as_text(value) for name, value in found.items()
        },
    }
    return json.dumps(sources, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def resolve_sources(packed: str, given: Mapping[str, str]) -> Loaded:
    """The packed pipeline with the values in `given` over those it had.

    Raises PipelineError for unknown names, with the nearest, and for values that it does not take.
    """
    from aqm.pipeline.resolve import load
    from aqm.runtimes import RUNTIMES

    sources = json.loads(packed)
    return load(
        sources["path"],
        _unpacked(sources["files"]),
        given={**sources["given"], **given},
        file_values=sources["file_values"],
        runtimes=RUNTIMES,
        required=True,
    )


def _unpacked(files: Mapping[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read
