"""What a command was called with besides its own words: environment, project, verbosity, screens."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from aqm.cli.terminal import Screen, decorated

if TYPE_CHECKING:
    from aqm.service.project import Project

__all__ = ["Doorway", "pass_doorway"]


@dataclass(slots=True)
class Doorway:
    """The environment is read here, once, and passed down."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    verbose: bool = False
    color: bool = True
    folder: str | None = None  # --project

    @property
    def out(self) -> Screen:
        return Screen(sys.stdout, decorated(sys.stdout, self.environ, self.color))

    @property
    def err(self) -> Screen:
        return Screen(sys.stderr, decorated(sys.stderr, self.environ, self.color))

    @property
    def asks(self) -> bool:
        """Whether a person can be asked something."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    def hint(self, words: str) -> str:
        """How a command is to be typed from here: with --project, when this one was."""
        import shlex

        if self.folder is None:
            return words
        return words.replace("aqm ", f"aqm --project {shlex.quote(self.folder)} ", 1)

    def project(self) -> Project:
        from pathlib import Path

        from aqm.service.project import find_project

        return find_project(Path(self.folder or Path.cwd()), self.environ)


pass_doorway = click.make_pass_decorator(Doorway)
