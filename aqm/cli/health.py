"""`doctor` and `runtimes`: what this host has."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from aqm.cli.command import command, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import DONE, FAILED
from aqm.cli.terminal import Part

if TYPE_CHECKING:
    from aqm.runtimes.base import Probe
    from aqm.service.project import Project
    from aqm.service.views import Check
    from aqm.settings import Settings

__all__ = ["doctor", "runtimes"]

_MARKS: dict[str, Part] = {"ok": ("✓ ", "green"), "missing": ("✗ ", "red"), "warning": ("! ", "yellow")}
_CLIS = ("claude", "codex", "gemini")  # one of them is enough: `agents` says whether there is one


@command("doctor", "aqm doctor", "aqm doctor --json")
@json_option
@pass_doorway
def doctor(doorway: Doorway, as_json: bool) -> int:
    """Say what this host has, and how to get what is missing.

    Ends with 1 when something is missing without which no agent can run.
    """
    from aqm.cli.printing import print_json
    from aqm.service.health import checks
    from aqm.service.host import host_of

    project = _project(doorway)
    found = []
    for check in checks(project, host_of(doorway.environ, _settings(doorway, project))):
        found.append(check)
        if not as_json:
            _check_line(doorway, check)
    healthy = not any(check.state == "missing" and check.name not in _CLIS for check in found)
    if as_json:
        print_json(doorway.out, {"ok": healthy, "checks": [asdict(check) for check in found]})
    return DONE if healthy else FAILED


def _project(doorway: Doorway) -> Project | None:
    from aqm.errors import ProjectError

    try:
        return doorway.project()
    except ProjectError:
        return None


def _settings(doorway: Doorway, project: Project | None) -> Settings:
    from aqm.settings import Settings

    return project.settings if project else Settings.from_environ(doorway.environ)


def _check_line(doorway: Doorway, check: Check) -> None:
    doorway.out.line(_MARKS[check.state], (f"{check.name:<10}", "bold"), f" {check.detail}")
    if check.cure:
        doorway.out.line(f"             {check.cure}")


@command("runtimes", "aqm runtimes", "aqm runtimes --json")
@json_option
@pass_doorway
def runtimes(doorway: Doorway, as_json: bool) -> None:
    """List the agent CLIs that can be used, as `runtime:` in a pipeline."""
    from aqm.cli.printing import print_json
    from aqm.service.health import probes
    from aqm.service.host import host_of

    found = probes(host_of(doorway.environ, _settings(doorway, _project(doorway))))
    if as_json:
        print_json(
            doorway.out, {"runtimes": [{"name": name} | asdict(probe) for name, probe in found.items()]}
        )
        return
    rows = [((name, "bold"), probe.version or "-", *_ready(name, probe)) for name, probe in found.items()]
    doorway.out.table(("RUNTIME", "VERSION", "READY", ""), rows)


def _ready(name: str, probe: Probe) -> tuple[Part, Part]:
    if name == "command":
        return ("yes", "green"), "runs the program that the agent's `command` names"
    if name == "scripted":
        return ("yes", "green") if probe.found else ("no", "red"), probe.cure or f"plays {probe.path}"
    if not probe.found or probe.logged_in is False:
        return ("no", "red"), probe.cure
    return ("yes", "green") if probe.logged_in else ("perhaps", "yellow"), probe.cure or probe.path
