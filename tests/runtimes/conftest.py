"""Fixtures of the runtimes' tests: both ways to hold a process tree together, and a bench per runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from aqm.runtimes.tree import Protection, protection
from tests.runtimes.bench import Bench


@pytest.fixture(params=["group", "namespace"])
def held(request: pytest.FixtureRequest) -> Protection:
    """How a turn's processes are held together: both ways, where this host has both."""
    if request.param == "namespace" and protection() == "group":
        pytest.skip("this host gives no PID namespace: only the process group was tested")
    return cast(Protection, request.param)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    return lambda runtime: Bench(runtime, tmp_path)
