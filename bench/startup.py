"""W8: how long a command takes that does nothing, against a Python that does nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from aqm.service.submission import submit
from bench.project import line, project

__all__ = ["startup"]

ROUNDS = 11


def startup() -> None:
    program = str(Path(sys.executable).parent / "aqm")
    with project(dict(os.environ), {"default": line(1)}) as made:
        for _ in range(50):
            submit(made, "go")
        listing = [program, "--project", str(made.root), "list"]
        commands = {"pass": [sys.executable, "-c", "pass"], "--help": [program, "--help"], "list": listing}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, capture_output=True, check=True)
                times[name].append(time.perf_counter() - started)
    base = statistics.median(times["pass"])
    for name in ("--help", "list"):
        taken = statistics.median(times[name])
        print(f"W8  aqm {name:<26}{taken * 1000:.0f} ms  {taken / base:.1f} x python -c pass", flush=True)
