"""A throw-away project whose agents are the instant CLI."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aqm.runtimes.base import Host
from aqm.service.project import Project, find_project
from bench.instant import instant

__all__ = ["host", "line", "project"]


@contextmanager
def project(environ: Mapping[str, str], pipelines: Mapping[str, object]) -> Iterator[Project]:
    """Pipelines by name, as JSON (which is YAML)."""
    with tempfile.TemporaryDirectory(prefix="aqm-bench-") as name:
        root = Path(name)
        folder = root / ".aqm" / "pipelines"
        folder.mkdir(parents=True)
        binary = str(instant(root))
        for title, document in pipelines.items():
            (folder / f"{title}.yaml").write_text(json.dumps(document).replace("INSTANT", binary))
        (root / ".aqm" / "config.yaml").write_text("pipeline: {max_stages: 10000}\nslots: 8\n")
        yield find_project(root, environ)


def line(stages: int, size: int = 0, prompt: str = "{{ input }}") -> dict[str, object]:
    """A chain of agents, each answering `size` bytes."""
    agents: list[dict[str, object]] = []
    for number in range(1, stages + 1):
        agent: dict[str, object] = {
            "id": f"a{number}",
            "runtime": "command",
            "command": ["INSTANT", str(size)],
            "system_prompt": prompt,
            "permissions": "full",
        }
        if number < stages:
            agent["handoffs"] = [{"to": f"a{number + 1}"}]
        agents.append(agent)
    return {"agents": agents}


def host(environ: Mapping[str, str], protection: str) -> Host:
    return Host(environ=environ, protection="namespace" if protection == "namespace" else "group")
