"""Stages to play pipelines on, over SQLite and over PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engine.play import Stage, play_in

SetStage = Callable[..., Stage]


@pytest.fixture(params=["sqlite", "postgres"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> SetStage:
    environ = {"PATH": "/usr/bin:/bin"}
    if request.param == "postgres":
        environ["AQM_DATABASE_URL"] = request.getfixturevalue("postgres_url")

    def make(agents: Sequence[Mapping[str, Any]], says: Mapping[str, Any], **keys: Any) -> Stage:
        return play_in(tmp_path, agents, says, environ=environ, **keys)

    return make
