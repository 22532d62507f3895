"""Finding tasks by what a person types, following them, and what lies in their folders."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from aqm.errors import ConflictError, NotFoundError, SettingsError, UsageError
from aqm.service.following import follow
from aqm.service.project import Project, find_project
from aqm.service.store import open_store
from aqm.service.submission import submit
from aqm.service.tasks import cancel, open_tasks, task_detail, task_id
from aqm.storage.database import Database
from tests.engine.play import agent, play_in


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / ".aqm" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text(json.dumps({"agents": [{"id": "a", "runtime": "claude"}]}))
    return find_project(tmp_path, {})


@pytest.mark.parametrize("nothing", ["", " ", "T", "T-", "-"])
def test_no_id_is_no_task_even_when_there_is_only_one(project: Project, nothing: str):
    submit(project, "go")
    with pytest.raises(UsageError, match="id is missing"):
        cancel(project, nothing)


def test_a_unique_beginning_is_enough_in_any_case_and_without_the_t(project: Project):
    task = submit(project, "go").id
    for typed in (task, task[:5], task.lower(), task[2:6]):
        assert task_id(project, typed) == task


def test_an_ambiguous_beginning_names_those_it_begins(project: Project):
    ids = [submit(project, "go").id for _ in range(33)]  # one more than an id's first letter can be
    beginnings = Counter(task[:3] for task in ids)
    shared, times = beginnings.most_common(1)[0]
    assert times > 1
    with pytest.raises(NotFoundError, match="begins several tasks") as caught:
        task_id(project, shared)
    assert [task for task in ids if task[:3] == shared and task in str(caught.value)]


def test_following_a_task_that_nobody_runs_says_how_to_go_on(project: Project):
    task = submit(project, "go").id
    told: list[object] = []
    with pytest.raises(ConflictError, match=f"aqm resume {task}"):
        follow(project, task, told.append, told.append, threading.Event())
    assert told
    assert open_tasks(project) == 1
    assert task_detail(project, task).waits_for == f"it waits for a worker: aqm resume {task}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("garbage", "is no database URL"),
        ("mysql://u:secret@localhost/x", "names 'mysql'"),
        ("postgresql+asyncpg://u:secret@localhost/x", "names 'postgresql"),
    ],
)
def test_a_database_url_that_cannot_be_used_is_named_without_its_password(url: str, said: str):
    with pytest.raises(SettingsError) as caught:
        Database(url)
    assert said in str(caught.value)
    assert "postgresql+psycopg://" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_context_file_holds_no_control_character_of_an_agent(tmp_path: Path):
    from aqm.service.files import task_folder, write_context

    play = play_in(tmp_path, [agent("a")], {"a": {"say": "red \x1b[31m \x9b2J end"}})
    task = play.play().task.id
    with open_store(play.project) as store:
        write_context(store, task)
        text = (task_folder(store, task) / "context.md").read_text()
    assert "red" in text
    assert not [character for character in text if ord(character) < 32 and character != "\n"]
    assert "\x9b" not in text
