"""How every command is declared: its examples, and the global options that it takes too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from aqm.cli.doorway import Doorway

__all__ = ["command", "global_options", "json_option"]


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
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_text("\b\n" + "\n".join(self.examples))
        formatter.write_paragraph()
        formatter.write_text("Global options: aqm --help")


def command(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command with runnable examples at the end of its help."""
    return click.command(name, cls=_Command, examples=examples)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
