"""House rules that no tool checks: sizes, names, docstrings, public names, and no mocks."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("aqm", "workers", "migrations", "bench", "tests")
MOST_LINES = 400
VAGUE = re.compile(r"(^|_)(utils?|helpers?|common|misc|managers?)(_|$)")
# in two pieces, so that these lines do not find themselves
OUTSIDE = re.compile(r"\.\./" + r"shared")
PATCHING = re.compile(r"mock" + r"\.patch|unittest" + r"(\.mock| import mock)|\bmocker" + r"\b")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or may be, committed, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(Path(name) for name in sorted(set(names)) if name and (ROOT / name).is_file())


def modules(*rooms: str) -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and path.parts[0] in (rooms or ROOMS)]


def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_rooms_are_looked_at() -> None:
    assert {path.parts[0] for path in modules()} >= {"aqm", "workers", "tests"}


def test_no_file_is_longer_than_one_noun_needs() -> None:
    lengths = {str(path): len(text_of(path).splitlines()) for path in modules()}
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}


def test_every_module_opens_with_a_docstring() -> None:
    assert [str(path) for path in modules() if not ast.get_docstring(ast.parse(text_of(path)))] == []


def test_every_folder_of_the_library_is_a_package() -> None:
    folders = {path.parent for path in modules("aqm", "workers")}
    assert [str(folder) for folder in folders if folder / "__init__.py" not in files()] == []


def test_every_module_of_the_library_says_what_is_public() -> None:
    assert [str(path) for path in modules("aqm") if _hides_what_is_public(path)] == []


def _hides_what_is_public(path: Path) -> bool:
    bound = {name for node in ast.parse(text_of(path)).body for name in _names_bound_by(node)}
    return bool(bound) and "__all__" not in bound and path.name != "__main__.py"


def _names_bound_by(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.ImportFrom(module="__future__"):
            return []
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name for alias in aliases]
    return []


def test_no_name_says_nothing() -> None:
    names = {name for path in modules() for name in (path.stem, *path.parts[:-1])}
    assert [name for name in sorted(names) if VAGUE.search(name)] == []


def test_nothing_is_patched() -> None:
    assert lines_with(PATCHING, modules()) == []


def test_nothing_names_a_place_outside_the_repository() -> None:
    assert lines_with(OUTSIDE, list(files())) == []
