"""What a turn costs us, besides what its CLI costs: memory under a flood, CPU for an instant answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aqm.runtimes import process
from aqm.runtimes.base import Stop
from aqm.runtimes.lines import Lines
from aqm.runtimes.process import Command
from tests.runtimes.bench import AGENT_CLI

MEASURE = """
import json, os, resource, sys
from pathlib import Path
from aqm.runtimes import get
from aqm.runtimes.base import Host, Prompt, Stop
runtime, cli, acts = sys.argv[1:]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def turn(play):
    host = Host({"PATH": f"{os.path.dirname(cli)}:{os.environ['PATH']}", "PLAY": play}, pass_env=("PLAY",))
    prompt = Prompt("x", Path("."), command=(cli,), mark=f"measure-{os.getpid()}", timeout=60)
    get(runtime, host).run(prompt, host, lambda event: None, Stop())
turn("[]")
before = peak()
turn(acts)
print(peak() - before)
"""


@pytest.mark.parametrize("runtime", ["command", "claude"])
@pytest.mark.parametrize(
    "acts",
    [[["flood", "x", 100]], [["flood", "flood " * 1000, 2048]], [["flood", "ab\n", 2048]]],
    ids=["a line of 100 MB", "2 GB", "2 GB of short lines"],
)
def test_a_flood_takes_little_memory(runtime: str, acts: list[object], tmp_path: Path) -> None:
    argv = [sys.executable, "-c", MEASURE, runtime, str(AGENT_CLI), json.dumps(acts)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout) <= 32, f"{done.stdout.strip()} MB more"


def test_a_turn_costs_us_little_cpu(tmp_path: Path) -> None:
    turns = 50
    command = Command(("true",), tmp_path, {"PATH": os.environ["PATH"]}, "cost", stdin=b"the prompt")
    process.run(command, Stop(), Lines(lambda line, cut: None))
    before = time.process_time()
    for _ in range(turns):
        process.run(command, Stop(), Lines(lambda line, cut: None))
    cost = (time.process_time() - before) / turns * 1000
    assert cost <= 1.5, f"{cost:.2f} ms of CPU for an instant CLI"
