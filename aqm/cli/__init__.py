"""The command line: parse, ask the service, print."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """The console script `aqm`."""
    from aqm.cli.app import aqm

    aqm(prog_name="aqm")
