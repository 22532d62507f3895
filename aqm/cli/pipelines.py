"""`agents`, `validate` and `schema`: pipeline files, looked at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import DONE, FAILED

if TYPE_CHECKING:
    from aqm.errors import Fault
    from aqm.service.views import Validation

__all__ = ["agents", "schema", "validate"]


@command("agents", "aqm agents", "aqm agents --pipeline triage", "aqm agents --mermaid >> README.md")
@click.option("--pipeline", metavar="NAME", help="This pipeline instead of the default one.")
@click.option("--mermaid", "form", flag_value="mermaid", help="As a Mermaid flowchart, for Markdown files.")
@click.option("--dot", "form", flag_value="dot", help="As a Graphviz graph.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@pass_doorway
def agents(doorway: Doorway, pipeline: str | None, form: str | None) -> None:
    """Show who hands on to whom: gates, conditions, branches and joins, and who speaks in which session.

    --mermaid and --dot: thick arrows lead into branches that open together, dotted lines to speakers.
    """
    from aqm.cli import diagram, graph
    from aqm.cli.printing import print_json
    from aqm.service.pipelines import load_pipeline

    project = doorway.project()
    name = pipeline or project.settings.default_pipeline
    loaded = load_pipeline(project, name, {}, required=False)
    match form:
        case "mermaid":
            doorway.out.line(diagram.mermaid(loaded.pipeline))
        case "dot":
            doorway.out.line(diagram.dot(loaded.pipeline))
        case "json":
            print_json(doorway.out, graph.graph_json(loaded.pipeline, name))
        case _:
            graph.graph_lines(doorway.out, loaded.pipeline, name)


@command("validate", "aqm validate", "aqm validate team.yaml", "aqm validate --pipeline triage --strict")
@click.argument("path", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--pipeline", metavar="NAME", help="This pipeline of the project.")
@click.option("--strict", is_flag=True, help="Warnings are errors, too.")
@json_option
@pass_doorway
def validate(doorway: Doorway, path: Path | None, pipeline: str | None, strict: bool, as_json: bool) -> int:
    """Find what is wrong in pipeline files: PATH, or all of the project's."""
    if path and pipeline:
        raise click.UsageError("give a path or --pipeline, not both")
    verdicts = _verdicts(doorway, path, pipeline)
    passed = all(verdict.valid and not (strict and verdict.faults) for verdict in verdicts)
    if as_json:
        _verdicts_json(doorway, verdicts, passed)
    else:
        for verdict in verdicts:
            _verdict_lines(doorway, verdict, strict)
    return DONE if passed else FAILED


def _verdicts(doorway: Doorway, path: Path | None, pipeline: str | None) -> list[Validation]:
    from aqm.errors import ProjectError
    from aqm.service.host import facts_of
    from aqm.service.pipelines import pipeline_views, validate_file

    host = facts_of(doorway.environ)
    if path:
        try:
            return [validate_file(path, doorway.project(), None, host)]
        except ProjectError:
            return [validate_file(path, None, None, host)]  # outside any project a file can be checked, too
    project = doorway.project()
    names = [pipeline] if pipeline else [view.name for view in pipeline_views(project)]
    if not names:
        names = [project.settings.default_pipeline]  # there is none, and that is said
    return [validate_file(None, project, name, host) for name in names]


def _verdict_lines(doorway: Doorway, verdict: Validation, strict: bool) -> None:
    for fault in verdict.faults:
        style = "red" if fault.severity == "error" else "yellow"
        doorway.out.line((f"{fault.severity}: ", style), str(fault))
    if not verdict.faults:
        doorway.out.line(("ok: ", "green"), verdict.file)
    elif verdict.valid and strict:
        why = f"{_count(verdict.faults)}, and with --strict warnings are errors"
        doorway.out.line(("not ok: ", "red"), f"{verdict.file} ({why})")
    elif verdict.valid:
        doorway.out.line(("ok: ", "green"), f"{verdict.file} ({_count(verdict.faults)})")


def _count(faults: Iterable[Fault]) -> str:
    number = len(list(faults))
    return f"{number} warning" if number == 1 else f"{number} warnings"


def _verdicts_json(doorway: Doorway, verdicts: list[Validation], passed: bool) -> None:
    from aqm.cli.printing import fault_json, print_json

    files = [
        {"file": one.file, "valid": one.valid, "faults": [fault_json(fault) for fault in one.faults]}
        for one in verdicts
    ]
    print_json(doorway.out, {"valid": passed, "files": files})


@command("schema", "aqm schema > aqm.schema.json")
@pass_doorway
def schema(doorway: Doorway) -> None:
    """Print the JSON Schema of pipeline files, for editors."""
    from aqm.cli.printing import print_json
    from aqm.pipeline.schema import json_schema

    print_json(doorway.out, json_schema())
