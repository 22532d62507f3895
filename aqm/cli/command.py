"""How every command is declared: its examples, and the global options that it takes too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aqm.cli.doorway import Doorway

__all__ = [
    "command",
    "command_group",
    "detach_option",
    "global_options",
    "json_option",
    "param_option",
    "script_option",
    "stage_option",
]


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            setattr(context.ensure_object(Doorway), name, value)

    return callback


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """They may stand before the command's name and behind it; only the group's help shows them."""
    return [
        click.Option(
            ["-v", "--verbose"],
            flag_value=True,
            default=None,
            expose_value=False,
            hidden=hidden,
            callback=_remember("verbose"),
            help="Say more: the agents' thinking, the judges' words, tracebacks.",
        ),
        click.Option(
            ["--project"],
            type=click.Path(exists=True, file_okay=False),
            metavar="DIR",
            expose_value=False,
            hidden=hidden,
            callback=_remember("folder"),
            help="Look for the project from here (default: the current folder) upwards.",
        ),
        click.Option(
            ["--no-color", "color"],
            flag_value=False,
            default=None,
            expose_value=False,
            hidden=hidden,
            callback=_remember("color"),
            help="No colours (the same as the variable NO_COLOR).",
        ),
    ]


class _Command(click.Command):
    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.extend(global_options(hidden=True))

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        _epilog(formatter, self.examples)


class _Group(click.Group):
    """Commands about one thing: `aqm chunks list`."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.extend(global_options(hidden=True))

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        _epilog(formatter, self.examples)


def _epilog(formatter: click.HelpFormatter, examples: tuple[str, ...]) -> None:
    if examples:
        with formatter.section("Examples"):
            formatter.write_text("\b\n" + "\n".join(examples))
    formatter.write_paragraph()
    formatter.write_text("Global options: aqm --help")


def command(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command with runnable examples at the end of its help."""
    return click.command(name, cls=_Command, examples=examples)


def command_group(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Group]:
    return click.group(name, cls=_Group, examples=examples)


script_option = click.option(
    "--script",
    envvar="AQM_SCRIPT",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    metavar="FILE",
    help="Play the agents' answers from this file instead of calling any CLI.",
)
stage_option = click.option(
    "--stage", type=click.IntRange(min=1), metavar="N", help="Which stage, when several wait."
)
param_option = click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter."
)
detach_option = click.option(
    "--detach", is_flag=True, help="Work in the background: print the task's id and return."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
