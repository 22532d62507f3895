"""Whether a CLI is there: on the PATH, in which version, logged in."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aqm.runtimes.base import Host, Probe, Stop
from aqm.runtimes.lines import Pieces
from aqm.runtimes.process import Command, Ending, run
from aqm.runtimes.spawn import find

__all__ = ["presence"]

_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")
_LIMIT = 10.0  # seconds


def presence(
    host: Host,
    program: str,
    *,
    environ: Mapping[str, str],
    keys: Sequence[str],
    files: Sequence[Path],
    package: str,
    log_in: str,
) -> Probe:
    """Look for the program and its credentials: one of `keys` in its environment, or one of `files`."""
    path = find(program, environ.get("PATH"), Path("/"))
    if path is None:
        return Probe(found=False, cure=f"Install it: npm install -g {package}")
    command = Command(
        argv=(program, "--version"),
        cwd=Path("/"),
        env=environ,
        mark=f"probe-{program}",
        wall=_LIMIT,
        idle=_LIMIT,
        protection=host.protection,
    )
    exit = run(command, Stop(), Pieces(lambda _: None))
    version = _VERSION.search(exit.stdout)
    if exit.ending is not Ending.EXITED or exit.code != 0 or version is None:
        why = exit.why or exit.stderr.strip()[-200:] or f"exit code {exit.code}"
        return Probe(True, path=path, cure=f"`{program} --version` failed ({why}): npm install -g {package}")
    logged_in = _logged_in(environ, keys, files)
    cure = "" if logged_in is not False else f"Log in: {log_in}"
    return Probe(True, version[0], path, logged_in, cure)


def _logged_in(environ: Mapping[str, str], keys: Sequence[str], files: Sequence[Path]) -> bool | None:
    if any(environ.get(key) for key in keys) or any(file.is_file() for file in files):
        return True
    return None if sys.platform == "darwin" else False  # macOS may keep it in the keychain
