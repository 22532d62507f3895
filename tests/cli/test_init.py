"""`init`, `agents`, `validate` and `schema`: a project and its pipeline files."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call


@pytest.fixture
def bare(call: Call, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    folder = tmp_path_factory.mktemp("bare")
    monkeypatch.chdir(folder)
    return folder


def test_init_writes_a_project_and_says_what_to_do_next(call: Call, bare: Path) -> None:
    shown = call("init")
    assert shown.exit_code == 0
    assert "wrote .aqm/pipelines/default.yaml" in shown.stdout
    assert 'aqm run "Add JWT authentication"' in shown.stdout
    assert call("validate").exit_code == 0
    assert "starts with planner" in call("agents").stdout


def test_init_in_a_project_changes_nothing(call: Call, project: Path) -> None:
    before = (project / ".aqm" / "pipelines" / "default.yaml").read_text()
    shown = call("init")
    assert shown.exit_code == 0
    assert "nothing was changed" in shown.stdout
    assert (project / ".aqm" / "pipelines" / "default.yaml").read_text() == before


def test_a_new_pipeline_tells_editors_where_its_schema_lies(call: Call, bare: Path) -> None:
    assert "wrote .aqm/pipeline.schema.json" in call("init").stdout
    assert call("init", "--template", "triage").exit_code == 0
    for name in ("default", "triage"):
        text = (bare / ".aqm" / "pipelines" / f"{name}.yaml").read_text()
        assert text.startswith("# yaml-language-server: $schema=../pipeline.schema.json\n# ")
    schema = json.loads((bare / ".aqm" / "pipeline.schema.json").read_text())
    assert schema == json.loads(call("schema").stdout)


def test_a_template_comes_beside_the_pipeline_that_is_there(call: Call, project: Path) -> None:
    shown = call("init", "--template", "solo")
    assert "aqm run --pipeline solo" in shown.stdout
    assert (project / ".aqm" / "pipelines" / "solo.yaml").exists()
    assert "starts with dev" in call("agents").stdout


def test_init_elsewhere_makes_the_folder(call: Call, bare: Path) -> None:
    shown = call("init", "--path", "new/shop", "--template", "review-loop", "--yes")
    assert (bare / "new" / "shop" / ".aqm" / "pipelines" / "default.yaml").exists()
    assert "cd new/shop && aqm run" in shown.stdout


def test_an_unknown_template_names_the_nearest(call: Call, bare: Path) -> None:
    shown = call("init", "--template", "sollo")
    assert (shown.exit_code, shown.stderr) == (
        1,
        "error: There is no template 'sollo'; did you mean 'solo'?\n",
    )
    assert list(bare.iterdir()) == []


# Pipeline files ----------------------------------------------------------------------------------


def test_agents_draws_the_pipeline_in_four_ways(call: Call) -> None:
    assert "  gate: a judge, at most 1 rejection" in call("agents").stdout
    assert call("agents", "--mermaid").stdout.startswith("flowchart TD\n")
    assert call("agents", "--dot").stdout.startswith("digraph pipeline {\n")
    assert json.loads(call("agents", "--json").stdout)["start"] == "dev"
    unknown = call("agents", "--pipeline", "defaul")
    assert unknown.exit_code == 1
    assert "did you mean 'default'?" in unknown.stderr


def test_a_pipeline_with_a_required_param_can_be_drawn(call: Call, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "p.yaml").write_text(
        "params: {who: {required: true}}\nagents: [{id: a, runtime: claude}]\n"
    )
    assert call("agents", "--pipeline", "p").exit_code == 0


def test_validate_prints_each_fault_on_a_line_of_its_own(call: Call, project: Path) -> None:
    wrong = "agents:\n  - {id: a, runtime: cluade}\n  - {id: b, runtime: claude, handofs: []}\n"
    (project / ".aqm" / "pipelines" / "wrong.yaml").write_text(wrong)
    shown = call("validate", "--pipeline", "wrong")
    lines = shown.stdout.splitlines()
    assert shown.exit_code == 1
    assert len(lines) == 2
    assert lines[0].startswith("error: .aqm/pipelines/wrong.yaml:2:")
    assert "did you mean 'claude'?" in lines[0]
    assert lines[1].startswith("error: .aqm/pipelines/wrong.yaml:3:")
    whole = call("validate")
    assert whole.exit_code == 1
    assert "default.yaml" in whole.stdout


def test_a_warning_fails_only_when_it_is_strict(call: Call, bare: Path) -> None:
    file = bare / "team.yaml"
    file.write_text("agents: [{id: a, runtime: scripted}, {id: never, runtime: scripted}]\n")
    lenient, strict = call("validate", "team.yaml"), call("validate", "team.yaml", "--strict")
    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert "ok: team.yaml (1 warning)\n" in lenient.stdout
    assert "not ok: team.yaml (1 warning, and with --strict warnings are errors)\n" in strict.stdout
    assert lenient.stdout.splitlines()[0].startswith("warning: team.yaml:1:")
    assert lenient.stdout.splitlines()[-1] == "ok: team.yaml (1 warning)"


def test_validate_tells_what_a_word_does_not_do_and_goes_on(call: Call, bare: Path) -> None:
    text = """\
agents:
  - {id: a, runtime: scripted, workspace: isolated, handoffs: [{to: b}]}
  - {id: b, runtime: scripted, join: 2}
"""
    (bare / "team.yaml").write_text(text)
    shown = call("validate", "team.yaml")
    first, second, verdict = shown.stdout.splitlines()
    assert first.startswith(
        "warning: team.yaml:2:43 agents[0].workspace: workspace: isolated has no effect yet;"
    )
    assert second.startswith(
        "warning: team.yaml:3:38 agents[1].join: no two branches of a fan-out can come to b"
    )
    assert (verdict, shown.exit_code) == ("ok: team.yaml (2 warnings)", 0)
    as_json = json.loads(call("validate", "team.yaml", "--strict", "--json").stdout)
    assert (as_json["valid"], as_json["files"][0]["valid"]) == (False, True)
    assert [fault["severity"] for fault in as_json["files"][0]["faults"]] == ["warning", "warning"]
    assert all(fault["cure"] and fault["line"] for fault in as_json["files"][0]["faults"])


def test_the_verdict_as_json(call: Call, bare: Path) -> None:
    (bare / "team.yaml").write_text("agents: []\n")
    shown = call("validate", "team.yaml", "--json")
    verdict = json.loads(shown.stdout)
    assert (shown.exit_code, verdict["valid"]) == (1, False)
    assert verdict["files"][0]["file"] == "team.yaml"
    assert verdict["files"][0]["faults"][0]["severity"] == "error"


@pytest.mark.parametrize("words", [["validate", "none.yaml"], ["validate", "x", "--pipeline", "default"]])
def test_what_validate_cannot_find_is_a_usage_error(call: Call, words: list[str]) -> None:
    assert call(*words).exit_code == 2


def test_a_path_and_a_name_do_not_go_together(call: Call, project: Path) -> None:
    (project / "x.yaml").write_text("agents: []\n")
    shown = call("validate", "x.yaml", "--pipeline", "default")
    assert (shown.exit_code, "not both" in shown.stderr) == (2, True)


def test_a_project_without_a_pipeline_is_not_valid(call: Call, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").unlink()
    shown = call("validate")
    assert shown.exit_code == 1
    assert "aqm init" in shown.stderr


def test_the_schema_is_json_that_knows_agents(call: Call) -> None:
    shown = call("schema")
    assert shown.exit_code == 0
    assert "agents" in json.loads(shown.stdout)["properties"]
