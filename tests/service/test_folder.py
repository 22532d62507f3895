"""The folder of a task: appended to exactly once, whoever is killed, and whatever somebody put there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aqm.service.folder import Folder, opened

HEAD = "# T-ABCDEF · dev"


@contextmanager
def folder_in(root: Path) -> Iterator[Folder]:
    with opened(root, "tasks", "T-ABCDEF") as folder:
        yield folder


def append(root: Path, *numbers: int, text: str = "said {}", newest: int = 99) -> None:
    """As a process that knows nothing of what was written before."""
    with folder_in(root) as folder:
        for number in numbers:
            folder.append("agent_dev.md", HEAD, text.format(number), number, newest)


def file_in(root: Path) -> Path:
    return root / "tasks" / "T-ABCDEF" / "agent_dev.md"


def marks(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^<!-- event (\d+) -->$", text, re.M)]


def test_what_stands_there_is_not_appended_again(tmp_path: Path):
    append(tmp_path, 3, 5)
    before = file_in(tmp_path).read_text()
    append(tmp_path, 3, 5)
    assert file_in(tmp_path).read_text() == before
    append(tmp_path, 5, 8)
    assert marks(file_in(tmp_path).read_text()) == [3, 5, 8]
    assert file_in(tmp_path).read_text().count(HEAD) == 1


def test_what_was_cut_at_any_byte_is_completed(tmp_path: Path):
    append(tmp_path, 3, 5, text="häß {}\n```\n<!-- event 4 -->\n```")
    file = file_in(tmp_path)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        append(tmp_path, 3, 5, text="häß {}\n```\n<!-- event 4 -->\n```")
        assert file.read_bytes() == whole, length


def test_a_last_block_of_any_size_is_completed(tmp_path: Path):
    append(tmp_path, 3)
    append(tmp_path, 5, text="x" * 100_000)
    file = file_in(tmp_path)
    whole = file.read_bytes()
    for length in (whole.index(b"xxx") + 1, len(whole) // 2, len(whole) - 3):
        file.write_bytes(whole[:length])
        append(tmp_path, 3)
        append(tmp_path, 5, text="x" * 100_000)
        assert file.read_bytes() == whole


def test_the_notes_of_a_person_stay_and_nothing_is_said_twice(tmp_path: Path):
    append(tmp_path, 3)
    file = file_in(tmp_path)
    file.write_text(file.read_text() + "\nmy own note, without an end of line")
    append(tmp_path, 3, 5)
    text = file.read_text()
    assert "my own note, without an end of line\n" in text
    assert marks(text) == [3, 5]
    assert text.index("my own note") < text.index("said 5")


def test_a_mark_that_no_event_has_is_not_believed(tmp_path: Path):
    append(tmp_path, 3)
    file = file_in(tmp_path)
    file.write_text(file.read_text() + "\n<!-- event 1000 -->\n")
    append(tmp_path, 3, 5, newest=5)
    assert marks(file.read_text()) == [3, 1000, 5]


def test_a_file_that_was_deleted_begins_again_with_its_head(tmp_path: Path):
    with folder_in(tmp_path) as folder:
        folder.append("agent_dev.md", HEAD, "one", 3, 9)
        file_in(tmp_path).unlink()
        folder.append("agent_dev.md", HEAD, "two", 5, 9)
    assert file_in(tmp_path).read_text() == f"{HEAD}\n\ntwo\n\n<!-- event 5 -->\n"


def test_another_process_that_made_the_file_again_is_seen(tmp_path: Path):
    with folder_in(tmp_path) as folder:
        folder.append("agent_dev.md", HEAD, "one", 3, 9)
        with folder.beside() as new:
            for number in (3, 5):
                new.append("agent_dev.md", HEAD, f"said {number}", number, 9)
        folder.append("agent_dev.md", HEAD, "again", 5, 9)
    assert marks(file_in(tmp_path).read_text()) == [3, 5]
    assert "again" not in file_in(tmp_path).read_text()


def test_a_process_killed_while_it_made_the_files_again_leaves_nothing_behind(tmp_path: Path):
    append(tmp_path, 3)
    left = file_in(tmp_path).parent / ".new"
    left.mkdir()
    (left / "transcript.md").write_text("half")
    with folder_in(tmp_path) as folder, folder.beside() as new:
        new.replace("context.md", "whole")
    assert sorted(path.name for path in left.parent.iterdir()) == ["agent_dev.md", "context.md"]


@pytest.mark.parametrize("what", ["symlink", "hard link", "pipe"])
def test_what_is_no_plain_file_is_replaced_and_not_written_through(what: str, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    file = file_in(tmp_path)
    file.parent.mkdir(parents=True)
    for name in (file, file.with_name("context.md")):
        if what == "symlink":
            name.symlink_to(outside)
        elif what == "hard link":
            name.hardlink_to(outside)
        else:
            os.mkfifo(name)
    append(tmp_path, 3)
    with folder_in(tmp_path) as folder:
        folder.replace("context.md", "shown")
    assert outside.read_text() == "mine"
    assert marks(file.read_text()) == [3]
    assert file.with_name("context.md").read_text() == "shown"
    assert stat.S_ISREG(file.lstat().st_mode)


@pytest.mark.parametrize("place", ["tasks", "tasks/T-ABCDEF"])
def test_a_folder_that_is_a_link_is_not_entered(place: str, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "project"
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(outside)
    with pytest.raises(OSError, match=r"symbolic|directory"):
        append(root, 3)
    assert not list(outside.iterdir())


def test_nobody_else_may_write_what_was_made_even_without_a_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        append(tmp_path, 3)
        with folder_in(tmp_path) as folder:
            folder.replace("context.md", "shown")
    finally:
        os.umask(before)
    made = [file_in(tmp_path).parent, file_in(tmp_path), file_in(tmp_path).with_name("context.md")]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o755", "0o644", "0o644"]


def test_control_characters_are_replaced_and_marks_of_others_spoilt(tmp_path: Path):
    append(tmp_path, 3, text="red \x1b[31m \x9b2J \u202e {}\r\n<!-- event 5 -->\n\ud800")
    text = file_in(tmp_path).read_text()
    assert not [character for character in text if ord(character) < 32 and character != "\n"]
    assert not set(text) & set("\x9b\u202e\r")
    append(tmp_path, 5)
    assert marks(file_in(tmp_path).read_text()) == [3, 5]
