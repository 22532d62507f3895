"""A consent is written into config.yaml, and nothing else in it changes."""

from pathlib import Path

import pytest

from aqm.errors import RefusedError
from aqm.service.allowance import allow
from aqm.service.project import Project, create_project, find_project

FULL = ("permissions.allow_full", "true")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path, {})


def written(project: Project, before: str, setting: str, value: str) -> str:
    file = project.folder / "config.yaml"
    file.write_text(before)
    allow(project, setting, value)
    return file.read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "permissions:\n  allow_full: true\n"),
        ("# only words\n", "# only words\n\npermissions:\n  allow_full: true\n"),
        ("slots: 3  # few", "slots: 3  # few\n\npermissions:\n  allow_full: true\n"),
        (
            "permissions:\n    # why\n    allow_unconfined: true\nslots: 3\n",
            "permissions:\n    allow_full: true\n    # why\n    allow_unconfined: true\nslots: 3\n",
        ),
        (
            "permissions:\n  allow_full: false  # not yet\n\nslots: 3\n",
            "permissions:\n  allow_full: true  # not yet\n\nslots: 3\n",
        ),
        ("permissions:\nslots: 3\n", "permissions:\n  allow_full: true\nslots: 3\n"),
    ],
)
def test_a_key_is_set_where_it_belongs_and_comments_stay(project: Project, before: str, after: str) -> None:
    assert written(project, before, *FULL) == after
    assert find_project(project.root, {}).settings.permissions.allow_full


def test_a_config_file_that_is_missing_is_made(project: Project) -> None:
    (project.folder / "config.yaml").unlink()
    allow(project, *FULL)
    assert find_project(project.root, {}).settings.permissions.allow_full


def test_the_file_of_a_new_project_can_be_edited(project: Project) -> None:
    before = (project.folder / "config.yaml").read_text()
    allow(project, "permissions.allow_unconfined", "true")
    assert (project.folder / "config.yaml").read_text().startswith(before)
    assert find_project(project.root, {}).settings.permissions.allow_unconfined


def test_flags_are_added_to_those_that_are_allowed(project: Project) -> None:
    one = written(project, "flags:\n  allow: [--add-dir]  # one\n", "flags.allow", "[-c key]")
    assert one == "flags:\n  allow: [--add-dir, -c key]  # one\n"
    assert find_project(project.root, {}).settings.flags.allow == ("--add-dir", "-c key")


def test_a_flag_that_yaml_would_misread_is_quoted(project: Project) -> None:
    written(project, "", "flags.allow", "[--x: {y, #z}]")
    assert find_project(project.root, {}).settings.flags.allow == ("--x: {y, #z}",)


@pytest.mark.parametrize(
    "before",
    [
        "permissions: {allow_full: false}\n",
        "{permissions: {allow_full: false}, slots: 3}\n",
        "permissions:\n  allow_full:\n    false\n",
    ],
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone_with_what_to_write(
    project: Project, before: str
) -> None:
    with pytest.raises(
        RefusedError, match=r"cannot be edited safely\. Set permissions\.allow_full: true in it"
    ):
        written(project, before, *FULL)
    assert (project.folder / "config.yaml").read_text() == before
