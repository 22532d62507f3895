"""The project: found upwards, made without overwriting, with templates that are valid."""

import json
import os
import stat
from pathlib import Path

import pytest

from aqm.errors import NotFoundError, ProjectError, SettingsError
from aqm.pipeline.schema import json_schema
from aqm.service.pipelines import load_pipeline, pipeline_views, validate_file
from aqm.service.project import (
    create_project,
    find_project,
    installed_runtime,
    template_text,
    templates,
    write_demo,
    write_project,
)

NAMES = [template.name for template in templates()]


def test_the_project_is_the_nearest_folder_upwards(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "a" / "inner"
    create_project(outer, {})
    (inner / "deep").mkdir(parents=True)
    assert find_project(inner / "deep", {}).root == outer
    create_project(inner, {})
    assert find_project(inner / "deep", {}).root == inner


def test_where_there_is_none_the_cure_is_named(tmp_path: Path) -> None:
    (tmp_path / ".aqm").write_text("a file is no project")
    with pytest.raises(ProjectError, match=r"no aqm project in .* Create one with: aqm init") as caught:
        find_project(tmp_path, {})
    assert caught.value.exit_code == 2


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    create_project(tmp_path, {})
    (tmp_path / ".aqm" / "config.yaml").write_text("default_pipeline: mine\nslots: 3\n")
    settings = find_project(tmp_path, {"AQM_DEFAULT_PIPELINE": "other"}).settings
    assert (settings.default_pipeline, settings.slots) == ("other", 3)


def test_a_wrong_setting_is_an_error_with_its_place(tmp_path: Path) -> None:
    create_project(tmp_path, {})
    (tmp_path / ".aqm" / "config.yaml").write_text("slots: many\n")
    with pytest.raises(SettingsError, match=r"config\.yaml:1"):
        find_project(tmp_path, {})


def test_a_new_project_has_a_pipeline_settings_and_keeps_what_is_written_by_aqm_out_of_git(
    tmp_path: Path,
) -> None:
    written = write_project(tmp_path, {})
    assert [file.relative_to(tmp_path).as_posix() for file in written] == [
        ".aqm/.gitignore",
        ".aqm/config.yaml",
        ".aqm/pipelines/default.yaml",
        ".aqm/pipeline.schema.json",
    ]
    ignored = (tmp_path / ".aqm" / ".gitignore").read_text().splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    assert "!pipelines/**" in ignored
    assert "!pipeline.schema.json" in ignored


def test_editors_find_the_schema_beside_the_pipelines(tmp_path: Path) -> None:
    create_project(tmp_path / "project", {})
    write_demo(tmp_path / "demo", "scripted")
    for root in (tmp_path / "project", tmp_path / "demo"):
        pipeline = root / ".aqm" / "pipelines" / "default.yaml"
        first = pipeline.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        schema = (pipeline.parent / first.partition("=")[2]).resolve()
        assert schema == root.resolve() / ".aqm" / "pipeline.schema.json"
        assert json.loads(schema.read_text()) == json_schema()


def test_the_schema_of_another_version_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    create_project(tmp_path, {})
    schema = tmp_path / ".aqm" / "pipeline.schema.json"
    schema.write_text('{"old": true}')
    assert write_project(tmp_path, {}) == (schema,)
    assert json.loads(schema.read_text()) == json_schema()
    other = tmp_path / "other.txt"
    other.write_text("mine")
    schema.unlink()
    schema.symlink_to(other)
    assert write_project(tmp_path, {}) == (schema,)
    assert (other.read_text(), schema.is_symlink()) == ("mine", False)
    assert write_project(tmp_path, {}) == ()


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    create_project(tmp_path, {})
    pipeline = tmp_path / ".aqm" / "pipelines" / "default.yaml"
    pipeline.write_text("mine")
    (tmp_path / ".aqm" / "config.yaml").unlink()
    assert write_project(tmp_path, {}) == (tmp_path / ".aqm" / "config.yaml",)
    assert pipeline.read_text() == "mine"
    assert write_project(tmp_path, {}) == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(ProjectError, match="cannot be written"):
        write_project(tmp_path, {})


def test_a_project_cannot_be_made_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match=r"cannot be written"):
        write_project(tmp_path / "file", {})


@pytest.mark.parametrize("name", NAMES)
def test_every_template_is_valid_without_a_warning_and_can_be_run(tmp_path: Path, name: str) -> None:
    project = create_project(tmp_path, {}, template=name)
    verdict = validate_file(None, project, "default")
    assert [str(fault) for fault in verdict.faults] == []
    loaded = load_pipeline(project, None, {})
    assert loaded.pipeline.description == next(one.about for one in templates() if one.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_no_template_asks_for_more_than_editing(tmp_path: Path, name: str) -> None:
    loaded = load_pipeline(create_project(tmp_path, {}, template=name), None, {})
    assert {agent.permissions for agent in loaded.pipeline.agents if agent.type == "agent"} <= {
        "read",
        "edit",
    }


def test_there_are_several_templates_and_default_comes_first() -> None:
    assert NAMES[0] == "default"
    assert {"solo", "review-loop", "triage"} <= set(NAMES)


def test_an_unknown_template_names_the_nearest_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'triage'"):
        write_project(tmp_path, {}, template="triag")
    assert list(tmp_path.iterdir()) == []


def test_the_agents_get_the_cli_that_the_host_has(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    environ = {"PATH": str(program.parent)}
    assert installed_runtime(environ) == "codex"
    assert installed_runtime({"PATH": ""}) is None
    loaded = load_pipeline(create_project(tmp_path, environ), None, {})
    assert {agent.runtime for agent in loaded.pipeline.agents if agent.type == "agent"} == {"codex"}


def test_the_text_of_a_template_can_be_read_without_a_project() -> None:
    assert "agents:" in template_text("solo")


@pytest.mark.parametrize("runtime", ["scripted", "claude"])
def test_the_demonstration_is_a_valid_project(tmp_path: Path, runtime: str) -> None:
    write_demo(tmp_path, runtime)
    project = find_project(tmp_path, {})
    assert [view.name for view in pipeline_views(project)] == ["default"]
    loaded = load_pipeline(project, None, {})
    assert loaded.warnings == ()
    assert [agent.id for agent in loaded.pipeline.agents] == ["planner", "developer", "reviewer"]
    assert {agent.runtime for agent in loaded.pipeline.agents if agent.type == "agent"} == {runtime}
