"""The command line: parse, ask the service, print."""

from __future__ import annotations

import gc

__all__ = ["main"]


def main() -> None:
    """The console script `aqm`. What lasts, such as `run`, collects garbage again (see `interrupt`)."""
    gc.disable()  # a tenth of the time of short commands would go into collecting what imports make
    from aqm.cli.app import aqm

    aqm(prog_name="aqm")
