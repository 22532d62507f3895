"""The embedded engine: one chain, many tasks, and a long history."""

from __future__ import annotations

import itertools
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aqm.flow.event import Event, EventKind
from aqm.service.project import Project
from aqm.service.running import Worker
from aqm.service.submission import submit
from bench.project import host, line, project

__all__ = ["ENVIRON", "chain", "growth", "many", "say", "work_off"]

ENVIRON = {**os.environ, "AQM_PERMISSIONS__ALLOW_FULL": "true"}
ROUNDS = 5


def chain() -> None:
    """W1: one task of 10 instant stages."""
    with project(ENVIRON, {"default": line(10)}) as made:
        binary = str(made.root / "instant")
        raw, ours, protected = [], [], []
        for _ in range(ROUNDS):
            raw.append(_timed(lambda: _raw(binary, 10)))
            ours.append(work_off(made, 1, "group")[1])
            protected.append(work_off(made, 1, "namespace")[1])
    one, two, three = (statistics.median(some) for some in (raw, ours, protected))
    say("W1  10 stages, raw", f"{one * 1000:.1f} ms")
    say("W1  10 stages, aqm", f"{two * 1000:.1f} ms", f"{two / one:.2f} x raw", _each(two - one, 10))
    say("W1  with namespaces", f"{three * 1000:.1f} ms", f"{three / one:.2f} x raw", _each(three - one, 10))


def many() -> None:
    """W2: 100 tasks of 5 stages, 8 at once."""
    with project(ENVIRON, {"default": line(5)}) as made:
        binary = str(made.root / "instant")
        raw = _timed(lambda: _raw_many(binary))
        for protection in ("group", "namespace"):
            submitting, running = work_off(made, 100, protection)
            say(
                f"W2  100 x 5, 8 at once, {protection}",
                f"{500 / running:.0f} stages/s",
                f"raw {500 / raw:.0f}",
                f"submitting 100: {submitting * 1000:.0f} ms",
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say("W2  peak memory", f"{peak:.0f} MB")


def growth() -> None:
    """W5: 200 stages of 20 KB; a stage must cost the same however long the history is.

    The time is taken with prompts that hold the context, the bytes with prompts that hold the input alone: a
    prompt is written to a pipe, and counted here, too.
    """
    contextual = line(200, 20_000, "{{ context }}\n{{ input }}")
    with project(ENVIRON, {"default": contextual}) as made:
        ends: list[float] = []
        work_off(made, 1, "group", lambda event: _note(event, ends))
    with project(ENVIRON, {"default": line(200, 20_000)}) as made:
        before = _written()
        work_off(made, 1, "group")
        written = _written() - before - 200 * 20_000  # Linux counts what ended children wrote, too
    steps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    early, late = statistics.median(steps[5:25]), statistics.median(steps[-20:])
    say("W5  ms at stage 15, 190", f"{early * 1000:.2f}, {late * 1000:.2f}", f"{late / early:.2f} x")
    say("W5  bytes written", f"{written / (200 * 20_000):.2f} per payload byte")


def work_off(
    made: Project, tasks: int, protection: str, heard: Callable[[Event], None] = lambda event: None
) -> tuple[float, float]:
    """Seconds to submit, and to run them all."""
    started = time.perf_counter()
    for _ in range(tasks):
        submit(made, "go", own=True)
    submitted = time.perf_counter()
    with Worker(made, on_event=heard, on_live=lambda live: None, host=host(ENVIRON, protection)) as worker:
        ready = time.perf_counter()
        worker.wait(None)
        ended = time.perf_counter()
    return submitted - started, ended - ready


def _note(event: Event, ends: list[float]) -> None:
    if event.kind is EventKind.STAGE_COMPLETE:
        ends.append(time.perf_counter())


def _raw(binary: str, times: int) -> None:
    for _ in range(times):
        subprocess.run([binary], input=b"go", capture_output=True, check=True)


def _raw_many(binary: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _raw(binary, 5), range(100)))


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _written() -> int:
    """Bytes that this process has written, to files and pipes."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _each(seconds: float, stages: int) -> str:
    return f"{seconds / stages * 1000:.2f} ms a stage above raw"


def say(*parts: str) -> None:
    print(f"{parts[0]:<34}{'  '.join(parts[1:])}", flush=True)
