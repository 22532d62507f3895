"""The command group: what there is, said without importing any of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from aqm import __version__
from aqm.cli.command import global_options
from aqm.cli.doorway import Doorway
from aqm.cli.ending import exit_code

__all__ = ["COMMANDS", "LATER", "aqm"]

# section → command → (module and attribute, what it does)
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "demo": ("demo:demo", "See a pipeline at work, in a throw-away project."),
        "init": ("project:init", "Set a project up: .aqm/ with a pipeline to edit."),
        "doctor": ("health:doctor", "Say what this host has, and how to get what is missing."),
    },
    "Tasks": {
        "run": ("run:run", "Give the agents a task and watch them."),
        "resume": ("run:resume", "Go on with tasks that wait for a worker."),
        "fix": ("reworking:fix", "Mend what a task has done, in a task of its own."),
        "restart": ("reworking:restart", "Begin a task again, from the start or from one of its stages."),
        "cancel": ("tasks:cancel", "End a task that is not done."),
        "priority": ("reworking:priority", "Say how soon a task comes."),
    },
    "People": {
        "approve": ("answering:approve", "Approve what a task waits for."),
        "reject": ("answering:reject", "Reject what a task waits for, with a reason."),
        "human-input": ("answering:human_input", "Answer the question that a task waits with."),
    },
    "Looking": {
        "status": ("tasks:status", "Show one task with its stages, or how things stand."),
        "list": ("tasks:listing", "List tasks, newest first."),
        "logs": ("logs:logs", "Show what the agents of a task said."),
        "watch": ("attending:watch", "Show a task live while another process works on it."),
        "attach": ("attending:attach", "Show a task live, and ask here when it waits for a person."),
        "context": (
            "logs:context",
            "Show all that happened in a task, or what an agent of it is told of that.",
        ),
        "chunks": ("chunks:chunks", "See and change a task's chunks, its tracked units of work."),
    },
    "Pipelines": {
        "agents": ("pipelines:agents", "Show who hands on to whom."),
        "validate": ("pipelines:validate", "Find what is wrong in pipeline files."),
        "schema": ("pipelines:schema", "Print the JSON Schema of pipeline files."),
        "runtimes": ("health:runtimes", "List the agent CLIs that can be used."),
    },
}
_WHERE = {name: entry for section in COMMANDS.values() for name, entry in section.items()}

# What the documents tell of and is not there yet: nobody has mistyped it.
LATER = frozenset(
    """
    cost diff checkout patch apply pr pipeline search pull publish test record serve up down worker workers db
    gc login logout users tokens projects audit
    """.split()  # noqa: SIM905 — a list of words, one below the other, would be longer than all of the rest
)

_EPILOG = """\
\b
aqm demo                            see how it works; nothing to install
aqm init                            set this project up
aqm run "Add JWT authentication"    give the agents a task"""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("obj", Doorway())
        kwargs["standalone_mode"] = False  # `exit_code` says what click would, in our words
        sys.exit(exit_code(lambda: super(_LazyGroup, self).main(args, *rest, **kwargs), kwargs["obj"]))

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_WHERE)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _WHERE:
            return None
        module, _, attribute = _WHERE[name][0].partition(":")
        found = getattr(import_module(f"aqm.cli.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in _WHERE:
            from aqm.errors import UsageError, did_you_mean

            if name in LATER:
                raise UsageError(f"aqm {name} is not built yet (see CHANGELOG.md).")
            raise click.UsageError(f"there is no command {name!r}; {did_you_mean(name, _WHERE)}", context)
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()], col_max=12)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            formatter.write_text(_EPILOG)
        formatter.write_paragraph()
        formatter.write_text("Each command tells more: aqm run --help")


@click.group(
    "aqm",
    cls=_LazyGroup,
    params=global_options(hidden=False),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="aqm", message="%(prog)s %(version)s")
@click.pass_context
def aqm(context: click.Context) -> None:
    """Teams of AI agents, described in YAML, run by the coding CLIs on your machine."""
    context.ensure_object(Doorway)
