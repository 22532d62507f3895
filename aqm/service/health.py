"""What this host has, and how to get what is missing: the checks of `aqm doctor`."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from aqm.errors import AqmError
from aqm.runtimes.base import Host, Probe
from aqm.service.project import Project
from aqm.service.views import Check

if TYPE_CHECKING:
    from aqm.pipeline.spec import Pipeline

__all__ = ["checks", "probes"]

_OTHERS = ("command", "scripted")  # runtimes without a vendor's CLI
_LEAST_SPACE = 200 * 1024 * 1024  # bytes
_NAMESPACE = "namespace: a turn's processes end with it, also those that left its session"
_GROUP = "process group: a child that opens a session of its own can outlive its turn"
_GROUP_CURE = (
    "Install util-linux (unshare) and allow user namespaces: sysctl kernel.unprivileged_userns_clone=1"
)


def checks(project: Project | None, host: Host) -> Iterator[Check]:
    """One by one, as they are found out."""
    yield Check("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield from _clis(host, project)
    yield _protection(host)
    if project is None:
        yield Check("project", "warning", "there is none here", "Create one with: aqm init")
        return
    yield from _project(project)
    yield _database(project)
    yield _broker(project)
    yield _space(project)


def probes(host: Host) -> Mapping[str, Probe]:
    """What every runtime says about itself, asked all at once."""
    from aqm.runtimes import RUNTIMES, load

    with ThreadPoolExecutor(max_workers=len(RUNTIMES)) as pool:
        asked = {name: pool.submit(load(name).probe, host) for name in RUNTIMES}
        return {name: probe.result() for name, probe in asked.items()}


def _clis(host: Host, project: Project | None) -> Iterator[Check]:
    found = {name: probe for name, probe in probes(host).items() if name not in _OTHERS}
    for name, probe in found.items():
        yield _cli(name, probe)
    if host.script:
        yield Check("script", "warning", f"{host.script} is played instead of every CLI", "Unset AQM_SCRIPT.")
    ready = [name for name, probe in found.items() if probe.found and probe.logged_in is not False]
    needed = _needed(project) if project else {}
    yield _agents(project, needed, ready) if project and needed else _any_agents(ready)


def _any_agents(ready: list[str]) -> Check:
    """Where no pipeline says what it needs, one CLI is enough."""
    if ready:
        return Check("agents", "ok", f"can run on {', '.join(ready)}")
    return Check("agents", "missing", "no agent CLI is ready", "Get one of the above. Until then: aqm demo")


def _agents(project: Project, needed: Mapping[str, frozenset[str]], ready: list[str]) -> Check:
    """The default pipeline's CLIs must be there; what only others need is worth a warning."""
    every = frozenset[str]().union(*needed.values())
    if not every:
        return Check("agents", "ok", "the pipelines need no agent CLI")
    absent = sorted(every.difference(ready))
    if not absent:
        return Check("agents", "ok", f"can run on {', '.join(sorted(every))}")
    must = needed.get(project.settings.default_pipeline, every)
    state: Literal["missing", "warning"] = "missing" if must.difference(ready) else "warning"
    which = ", ".join(sorted(name for name, clis in needed.items() if clis.difference(ready)))
    detail = f"not ready: {', '.join(absent)}, for the pipelines: {which}"
    return Check("agents", state, detail, "Get it as said above. Until then: aqm demo")


def _needed(project: Project) -> dict[str, frozenset[str]]:
    """By pipeline, the CLIs that its agents and judges call; without pipelines that cannot be used."""
    from aqm.service.pipelines import load_pipeline, pipeline_views

    needed = {}
    for view in pipeline_views(project):
        with suppress(AqmError):
            pipeline = load_pipeline(project, view.name, {}, required=False).pipeline
            needed[view.name] = frozenset(_runtimes(project, pipeline)).difference(_OTHERS)
    return needed


def _runtimes(project: Project, pipeline: Pipeline) -> Iterator[str]:
    from aqm.flow.judge import judge
    from aqm.pipeline.spec import Agent
    from aqm.service.submission import policy_of

    for agent in pipeline.agents:
        if isinstance(agent, Agent):
            yield agent.runtime
        if agent.gate is not None and agent.gate.type == "llm":
            yield judge(policy_of(project), pipeline, agent)[0]


def _cli(name: str, probe: Probe) -> Check:
    if not probe.found:
        return Check(name, "missing", "not installed", probe.cure)
    log_in = {True: "logged in", False: "not logged in", None: "log-in unknown until it is used"}
    detail = ", ".join(part for part in (probe.version, log_in[probe.logged_in], probe.path) if part)
    return Check(name, "warning" if probe.cure else "ok", detail, probe.cure)


def _protection(host: Host) -> Check:
    if host.protection == "namespace":
        return Check("processes", "ok", _NAMESPACE)
    return Check("processes", "warning", _GROUP, _GROUP_CURE)


def _project(project: Project) -> Iterator[Check]:
    from aqm.service.pipelines import pipeline_views, validate_file

    yield Check("project", "ok", str(project.root))
    views = pipeline_views(project)
    if not views:
        yield Check(
            "pipelines", "missing", f"none in {project.pipelines}", "Write a first one with: aqm init"
        )
        return
    wrong = [view.name for view in views if not validate_file(view.file, project, None).valid]
    if wrong:
        yield Check("pipelines", "missing", f"not usable: {', '.join(wrong)}", "See why with: aqm validate")
    else:
        yield Check("pipelines", "ok", ", ".join(view.name for view in views))


def _database(project: Project) -> Check:
    """An own database is not created just to look at it."""
    from aqm.service.store import open_store

    file = project.folder / "aqm.db"
    if project.settings.database_url is None and not file.exists():
        return Check("database", "ok", f"SQLite, {file} (with the first task)")
    try:
        with open_store(project) as store:
            kind = "SQLite" if store.embedded else "the team's"
            where = str(file) if store.embedded else ""
            return Check("database", "ok", ", ".join(part for part in (kind, where) if part))
    except AqmError as error:
        return Check("database", "missing", error.message, error.cure)


def _broker(project: Project) -> Check:
    url = project.settings.broker_url
    if url is None or url.startswith("memory:"):
        return Check("broker", "ok", "inside the process that works")
    from redis import Redis, RedisError

    try:
        client = Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
        client.ping()
        client.close()
    except (RedisError, ValueError) as error:
        return Check(
            "broker", "missing", f"it does not answer: {error}", "Start it, or correct AQM_BROKER_URL."
        )
    return Check("broker", "ok", "Redis answers")


def _space(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free
    detail = f"{free / 1024**3:.1f} GB free"
    if free < _LEAST_SPACE:
        return Check("disk", "warning", detail, "Free some space: agents and the database need it.")
    return Check("disk", "ok", detail)
