"""Pipelines from texts, for tests: files are a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import Any

import pytest

from aqm.errors import Fault, PipelineError
from aqm.pipeline.resolve import Loaded, load

__all__ = ["MAIN", "faults_of", "load_text", "reader", "said", "warnings_of"]

MAIN = "main.yaml"


def reader(files: Mapping[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        if path in files:
            return dedent(files[path])
        if any(name.startswith(path + "/") for name in files):
            raise IsADirectoryError(path)
        raise FileNotFoundError(path)

    return read


def load_text(text: str, files: Mapping[str, str] | None = None, **options: Any) -> Loaded:
    return load(MAIN, reader({MAIN: text, **(files or {})}), **options)


def faults_of(text: str, files: Mapping[str, str] | None = None, **options: Any) -> tuple[Fault, ...]:
    with pytest.raises(PipelineError) as caught:
        load_text(text, files, **options)
    return caught.value.faults


def said(text: str, files: Mapping[str, str] | None = None, **options: Any) -> list[str]:
    return [str(fault) for fault in faults_of(text, files, **options)]


def warnings_of(text: str, files: Mapping[str, str] | None = None, **options: Any) -> list[str]:
    return [str(warning) for warning in load_text(text, files, **options).warnings]
