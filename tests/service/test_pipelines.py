"""A project's pipelines: listed, resolved and judged."""

from pathlib import Path

import pytest

from aqm.errors import NotFoundError, PipelineError
from aqm.pipeline.advice import HostFacts
from aqm.service.pipelines import load_pipeline, pipeline_views, validate_file
from aqm.service.project import Project, create_project

ONE = "agents: [{id: a, runtime: claude}]\n"
ASKS = "params: {who: {type: string, required: true, description: a name}}\n" + ONE


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path, {})


def write(project: Project, name: str, text: str) -> Path:
    file = project.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_pipelines_are_listed_by_name_with_the_default_marked(project: Project) -> None:
    write(project, "pipelines/api.yaml", ONE)
    write(project, "pipelines/notes.txt", "no pipeline")
    assert [(view.name, view.default) for view in pipeline_views(project)] == [
        ("api", False),
        ("default", True),
    ]


def test_a_file_of_the_old_tool_is_the_default_unless_there_is_one(project: Project) -> None:
    write(project, "agents.yaml", "agents: [{id: old, runtime: claude}]\n")
    assert load_pipeline(project, None, {}).pipeline.ids == ("planner", "developer", "reviewer")
    (project.pipelines / "default.yaml").unlink()
    assert load_pipeline(project, None, {}).pipeline.ids == ("old",)


def test_an_unknown_pipeline_names_the_nearest(project: Project) -> None:
    write(project, "pipelines/review.yaml", ONE)
    with pytest.raises(NotFoundError, match="no pipeline 'reviev'; did you mean 'review'"):
        load_pipeline(project, "reviev", {})


def test_a_name_is_never_a_path(project: Project) -> None:
    write(project, "../outside.yaml", ONE)
    with pytest.raises(NotFoundError):
        load_pipeline(project, "../../outside", {})


def test_a_project_without_pipelines_says_how_to_get_one(project: Project) -> None:
    (project.pipelines / "default.yaml").unlink()
    with pytest.raises(NotFoundError, match="aqm init"):
        load_pipeline(project, None, {})


def test_values_of_the_command_line_win_over_those_of_the_file(project: Project) -> None:
    write(project, "pipelines/p.yaml", "params: {a: one, b: one, c: one}\n" + ONE)
    write(project, "params.yaml", "a: file\nb: file\n")
    assert load_pipeline(project, "p", {"a": "line"}).pipeline.params == {
        "a": "line",
        "b": "file",
        "c": "one",
    }


def test_a_params_file_that_is_no_mapping_is_an_error_with_its_name(project: Project) -> None:
    write(project, "params.yaml", "- a\n")
    with pytest.raises(PipelineError, match=r"\.aqm/params\.yaml"):
        load_pipeline(project, None, {})


def test_a_required_param_without_a_value_is_refused_with_what_to_type(project: Project) -> None:
    write(project, "pipelines/p.yaml", ASKS)
    with pytest.raises(PipelineError, match=r"'who' \(a name\) has no value; give one with  -p who=VALUE"):
        load_pipeline(project, "p", {})
    assert load_pipeline(project, "p", {"who": "me"}).pipeline.params == {"who": "me"}
    assert load_pipeline(project, "p", {}, required=False).missing == ("who",)


def test_all_faults_are_told_at_once_with_their_places(project: Project) -> None:
    write(project, "pipelines/p.yaml", "agents:\n  - {id: a, runtime: cluade}\n  - {id: b}\n")
    verdict = validate_file(None, project, "p")
    assert not verdict.valid
    assert verdict.file == ".aqm/pipelines/p.yaml"
    assert [(fault.line, fault.file) for fault in verdict.faults if fault.severity == "error"] == [
        (2, ".aqm/pipelines/p.yaml"),
        (3, ".aqm/pipelines/p.yaml"),
    ]


def test_a_file_can_be_judged_by_its_path_inside_and_outside_of_a_project(
    project: Project, tmp_path: Path
) -> None:
    inside = write(project, "../team.yaml", ASKS.replace("required: true", "required: true, default: x"))
    outside = tmp_path.parent / f"{tmp_path.name}-outside.yaml"
    outside.write_text(ONE)
    assert validate_file(inside, project, None).file == "team.yaml"
    assert validate_file(inside, project, None).valid
    assert validate_file(outside, project, None).file == outside.name
    assert validate_file(outside, None, None).valid


def test_imports_are_read_from_the_project_and_never_from_outside(project: Project, tmp_path: Path) -> None:
    (tmp_path.parent / f"{tmp_path.name}-secret.yaml").write_text(ONE)
    write(project, "lib/b.yaml", "agents: [{id: b, runtime: claude}]\n")
    write(
        project, "pipelines/p.yaml", "imports: [{from: ../lib/b.yaml}]\nagents: [{id: a, runtime: claude}]\n"
    )
    assert load_pipeline(project, "p", {}).pipeline.ids == ("a", "b")
    leads_out = project.folder / "lib" / "link.yaml"
    leads_out.symlink_to(tmp_path.parent / f"{tmp_path.name}-secret.yaml")
    write(
        project,
        "pipelines/q.yaml",
        "imports: [{from: ../lib/link.yaml}]\nagents: [{id: q, runtime: claude}]\n",
    )
    verdict = validate_file(None, project, "q")
    assert [fault.message for fault in verdict.faults] == [".aqm/lib/link.yaml may not be read"]


def test_what_the_host_lacks_is_a_warning_only_when_the_host_is_known(project: Project) -> None:
    nothing = HostFacts(lambda _: False, lambda _: False, {"claude": "get it"})
    assert validate_file(None, project, "default").faults == ()
    verdict = validate_file(None, project, "default", nothing)
    assert verdict.valid
    assert {fault.severity for fault in verdict.faults} == {"warning"}
    assert len(load_pipeline(project, None, {}, host=nothing).warnings) == 3


def test_a_pipeline_may_use_the_scripted_runtime(project: Project) -> None:
    write(project, "pipelines/p.yaml", "agents: [{id: a, runtime: scripted}]\n")
    assert load_pipeline(project, "p", {}).pipeline.ids == ("a",)
