"""The reference is built in strict mode, without a network, into pages that load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, names

NOWHERE = "http://127.0.0.1:9"  # nobody listens there
_OUTSIDE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
_LOADING = {"script", "link", "img", "iframe", "source", "video", "audio", "object", "embed"}
_CSS = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:https?:)?//", re.IGNORECASE)


class Resources(HTMLParser):
    """What a page loads by itself; where its links lead is the reader's own choice."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _LOADING:
            self.found += [value for name, value in attributes if name in ("src", "href", "data") and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    proxies = {f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")}
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=DOCS.parent,
        env={**os.environ, **proxies, "NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout
    return folder


def test_every_page_is_built(site: Path) -> None:
    assert [name for name in names() if not (site / name).with_suffix(".html").is_file()] == []


def test_the_pages_load_nothing_from_elsewhere(site: Path) -> None:
    found = {}
    for page in site.rglob("*.html"):
        resources = Resources()
        resources.feed(page.read_text(encoding="utf-8"))
        found[str(page.relative_to(site))] = resources.found
    assert all(resources for resources in found.values())
    outside = {page: [each for each in them if _OUTSIDE.match(each)] for page, them in found.items()}
    assert {page: them for page, them in outside.items() if them} == {}


def test_the_styles_load_nothing_from_elsewhere(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    assert [str(file) for file in styles if _CSS.search(file.read_text(encoding="utf-8"))] == []


def test_every_page_can_be_found(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert [name for name in names() if name.removesuffix(".md") + ".html" not in index] == []
