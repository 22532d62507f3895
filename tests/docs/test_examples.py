"""Every example of the reference is read as in a project, and gets the verdict that stands below it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aqm.errors import PipelineError
from aqm.pipeline.frozen import freeze, thaw
from aqm.pipeline.params import read_values
from aqm.pipeline.resolve import Loaded, load
from aqm.runtimes.script import load as load_script
from aqm.settings import Settings
from tests.docs.pages import CONFIG, DOCS, PARAMS, SCRIPT, Block, blocks, names, parts, text_of

FILE = "team.yaml"  # what the faults of an example call it
VERDICTS = ("refused", "warned")
YAML = blocks("yaml")
PIPELINES = [block for block in YAML if block.is_pipeline]


def titled(*titles: str) -> list[Block]:
    return [block for block in YAML if block.title in titles]


def at(block: Block) -> str:
    return block.place


def reader(block: Block) -> Callable[[str], str]:
    """The files of a page: the block itself, and those that stand on the page with their paths."""
    files = {each.title: each.text for each in YAML if each.page == block.page and each.title} | {
        FILE: block.text
    }

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read


def loaded(block: Block) -> Loaded:
    return load(FILE, reader(block))


def said_below(block: Block) -> list[str]:
    """The lines of the `text` block that comes next."""
    found = parts(block.page)
    after = found[found.index(block) + 1 :]
    answer = next((part for part in after if isinstance(part, Block)), None)
    assert answer, f"{block.place}: say below what is said"
    assert answer.language == "text", f"{block.place}: say below what is said"
    return answer.text.splitlines()


def test_the_pages_have_examples() -> None:
    assert len(PIPELINES) >= 35
    assert len(titled("refused")) >= 15
    assert len(titled(SCRIPT)) >= 15


@pytest.mark.parametrize("page", names())
def test_no_fence_hides_from_the_tests(page: str) -> None:
    fences = [line for line in text_of(page).splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len([part for part in parts(page) if isinstance(part, Block)])


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    known = {"yaml", "console", "text", "json", "python", "sh"}
    assert [block.place for block in blocks() if block.language not in known] == []
    strange = [block for block in YAML if block.title and not block.title.endswith(".yaml")]
    assert [block.place for block in strange if block.title not in VERDICTS] == []


@pytest.mark.parametrize("block", PIPELINES, ids=at)
def test_a_pipeline_is_valid_and_gives_no_warning(block: Block) -> None:
    found = loaded(block)
    assert [str(warning) for warning in found.warnings] == []
    assert thaw(freeze(found.pipeline)) == found.pipeline


@pytest.mark.parametrize("block", titled("refused"), ids=at)
def test_a_refused_pipeline_is_refused_with_what_stands_below(block: Block) -> None:
    with pytest.raises(PipelineError) as caught:
        loaded(block)
    assert [str(fault) for fault in caught.value.faults] == said_below(block)


@pytest.mark.parametrize("block", titled("warned"), ids=at)
def test_a_doubtful_pipeline_is_warned_of_as_stands_below(block: Block) -> None:
    assert [str(warning) for warning in loaded(block).warnings] == said_below(block)


@pytest.mark.parametrize("block", titled(SCRIPT), ids=at)
def test_a_script_can_be_played(block: Block, tmp_path: Path) -> None:
    file = tmp_path / SCRIPT
    file.write_text(block.text, encoding="utf-8")
    assert load_script(file).agents


@pytest.mark.parametrize("block", titled(CONFIG), ids=at)
def test_a_config_is_one(block: Block) -> None:
    assert Settings.from_text(block.text, {}) != Settings()


@pytest.mark.parametrize("block", titled(PARAMS), ids=at)
def test_values_of_params_are_plain_values(block: Block) -> None:
    assert read_values(block.text, PARAMS)


@pytest.mark.parametrize("block", blocks("json"), ids=at)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text)


def test_no_page_is_a_wall_of_text() -> None:
    lengths = {page: len(text_of(page).splitlines()) for page in names()}
    assert {page: length for page, length in lengths.items() if length > 400} == {}
    assert DOCS.is_dir()
