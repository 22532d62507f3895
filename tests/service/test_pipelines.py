"""A project's pipelines: listed, resolved and judged."""

from pathlib import Path

import pytest

from aqm.errors import NotFoundError, PipelineError
from aqm.pipeline.advice import HostFacts
from aqm.pipeline.spec import Agent
from aqm.service.pipelines import (
    declared_params,
    load_pipeline,
    pack_sources,
    pipeline_views,
    resolve_sources,
    validate_file,
)
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
    write(project, "pipelines/q.yaml", "imports: [{from: p.yaml}]\n" + ONE.replace("a,", "b,"))
    with pytest.raises(PipelineError, match=r"pipelines/p\.yaml:1:10 params\.who: the param 'who'"):
        load_pipeline(project, "q", {})
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


def test_params_are_known_of_a_pipeline_that_cannot_be_resolved_without_them(project: Project) -> None:
    text = "params: {cli: {required: true}, n: 1}\nagents: [{id: a, runtime: '${{ params.cli }}'}]\n"
    write(project, "pipelines/p.yaml", text)
    assert list(declared_params(project, "p", {})) == ["cli", "n"]
    with pytest.raises(PipelineError) as caught:
        declared_params(project, "p", {"n": "many", "lci": "codex"})
    assert [str(fault) for fault in caught.value.faults] == [
        "-p lci: there is no param called 'lci'; did you mean 'cli'?",
        "-p n: the value of 'n' must be a number, not 'many'",
    ]


# Sources -----------------------------------------------------------------------------------------

TEAM = """\
params: {who: nobody, rounds: 2, model: {required: true}}
imports: [{from: lib/dev.yaml}]
agents:
  - {id: lead, runtime: claude, model: "${{ params.model }}", system_prompt: "For ${{ params.who }}."}
  - {id: tests, extends: dev, context_window: "${{ params.rounds }}"}
"""
LIBRARY = """\
params: {language: Go}
agents: [{id: dev, runtime: codex, system_prompt: "In ${{ params.language }}."}]
"""


@pytest.fixture
def packed(project: Project) -> str:
    """The sources of TEAM, whose files are no more what they were."""
    write(project, "pipelines/team.yaml", TEAM)
    library = write(project, "pipelines/lib/dev.yaml", LIBRARY)
    values = write(project, "params.yaml", "who: 'null'\nlanguage: 1.10\nsecret: of another pipeline\n")
    text = pack_sources(load_pipeline(project, "team", {"model": "big", "rounds": "4"}))
    write(project, "pipelines/team.yaml", "agents: [")
    library.unlink()
    values.write_text("who: somebody else\n")
    return text


def prompts(packed: str, **given: str) -> list[str]:
    agents = resolve_sources(packed, given).pipeline.agents
    return [agent.system_prompt for agent in agents if isinstance(agent, Agent)]


def test_packed_sources_give_the_same_pipeline_when_its_files_have_changed_or_gone(
    project: Project, tmp_path_factory: pytest.TempPathFactory, packed: str
) -> None:
    elsewhere = create_project(tmp_path_factory.mktemp("as it was"), {})
    write(elsewhere, "pipelines/team.yaml", TEAM)
    write(elsewhere, "pipelines/lib/dev.yaml", LIBRARY)
    write(elsewhere, "params.yaml", "who: 'null'\nlanguage: 1.10\n")
    before = load_pipeline(elsewhere, "team", {"model": "big", "rounds": "4"}).pipeline
    assert resolve_sources(packed, {}).pipeline == before
    assert before.params == {"who": "null", "rounds": 4, "model": "big", "language": "1.10"}
    with pytest.raises(PipelineError):
        load_pipeline(project, "team", {})


def test_packed_sources_take_other_params_over_those_they_had(packed: str) -> None:
    assert prompts(packed) == ["For null.", "In 1.10.", "In 1.10."]
    assert prompts(packed, who="us", language="C") == ["For us.", "In C.", "In C."]
    tests = resolve_sources(packed, {"rounds": "7"}).pipeline.agent("tests")
    assert isinstance(tests, Agent)
    assert tests.context_window == 7


def test_other_params_can_be_packed_again(packed: str) -> None:
    again = pack_sources(resolve_sources(packed, {"who": "us"}))
    assert resolve_sources(again, {"rounds": "7"}).pipeline.params == {
        "who": "us",
        "rounds": 7,
        "model": "big",
        "language": "1.10",
    }
    assert pack_sources(resolve_sources(packed, {})) == packed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"langauge": "C"}, "-p langauge: there is no param called 'langauge'; did you mean 'language'?"),
        ({"rounds": "many"}, "-p rounds: the value of 'rounds' must be a number, not 'many'"),
    ],
)
def test_packed_sources_refuse_what_the_pipeline_does_not_take(
    packed: str, given: dict[str, str], said: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        resolve_sources(packed, given)
    assert [str(fault) for fault in caught.value.faults] == [said]


def test_only_values_that_the_pipeline_declares_are_packed(packed: str) -> None:
    assert "another pipeline" not in packed
    assert "somebody else" not in packed
