"""How a command ends: its exit code, and one sentence on stderr for whatever went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

import click

from aqm.cli.doorway import Doorway
from aqm.cli.terminal import Screen, quiet_streams

__all__ = ["CANCELLED", "DONE", "FAILED", "INTERRUPTED", "USAGE", "WAITS", "exit_code"]

DONE = 0
FAILED = 1  # or refused
USAGE = 2
WAITS = 3  # for a human, or stalled
CANCELLED = 4
INTERRUPTED = 130


def exit_code(ask: Callable[[], object], doorway: Doorway) -> int:
    """Call `ask`; its errors are said on stderr, and the exit code tells.

    A reader that leaves (`aqm list | head`) ends the command quietly: click sees to that.
    """
    quiet_streams()
    try:
        code = ask()
    except (KeyboardInterrupt, click.Abort):
        doorway.err.line("aborted")
        return INTERRUPTED
    except click.ClickException as error:
        return _misused(doorway, error)
    except OSError as error:
        return _unwritten(doorway, error) if _is_output_s(error) else _failed(doorway, error)
    except Exception as error:
        return _failed(doorway, error)
    return code if isinstance(code, int) else DONE


def _is_output_s(error: OSError) -> bool:
    """Whether it happened while printing: an OSError itself does not tell, and a new try may succeed."""
    from traceback import walk_tb

    *_, (frame, _) = walk_tb(error.__traceback__)
    return frame.f_code in (Screen.write.__code__, click.echo.__code__)


def _unwritten(doorway: Doorway, error: OSError) -> int:
    """A full disk behind `>`, or a terminal that is gone."""
    doorway.err.line(("error:", "red"), f" cannot write to stdout: {error.strerror or error}")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):
        os.dup2(nowhere, sys.stdout.fileno())  # Python tries once more at its end, and would complain
    os.close(nowhere)
    return FAILED


def _misused(doorway: Doorway, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        doorway.out.line(error.format_message())
        return USAGE
    doorway.err.line(("error:", "red"), f" {error.format_message()}")
    context = getattr(error, "ctx", None)
    if context is not None:
        doorway.err.line((f"  see: {context.command_path} --help", "dim"))
    return error.exit_code


def _failed(doorway: Doorway, error: Exception) -> int:
    from aqm.errors import AqmError

    if not isinstance(error, AqmError):
        return _bug(doorway, error)
    doorway.err.line(("error:", "red"), f" {error}")
    return error.exit_code


def _bug(doorway: Doorway, error: Exception) -> int:
    import tempfile
    import traceback
    from pathlib import Path

    text = traceback.format_exc()
    handle, name = tempfile.mkstemp(prefix="aqm-bug-", suffix=".txt")
    os.close(handle)
    Path(name).write_text(text, encoding="utf-8", errors="replace")
    if doorway.verbose:
        doorway.err.line(text)
    doorway.err.line(
        ("error:", "red"),
        f" this is a bug in aqm ({type(error).__name__}: {error}); the traceback is in {name}",
    )
    return FAILED
