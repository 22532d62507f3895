"""Installs the pinned agent CLIs from npm into a cache folder, once: `python -m tests.cli_real.install`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLAUDE", "Pinned", "install", "installed"]


@dataclass(frozen=True, slots=True)
class Pinned:
    """One CLI: the name of its program, its npm package and the version that the suite was written for."""

    name: str
    package: str
    version: str

    @property
    def folder(self) -> Path:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "aqm" / "cli" / f"{self.name}-{self.version}"

    @property
    def program(self) -> Path:
        return self.folder / "node_modules" / ".bin" / self.name


CLAUDE = Pinned("claude", "@anthropic-ai/claude-code", "2.1.330")
PINNED = (CLAUDE,)


def installed(cli: Pinned) -> bool:
    return cli.program.exists()  # the folder appears whole or not at all


def install(cli: Pinned) -> None:
    """Installs beside the final place and moves it there, so that a broken download leaves nothing."""
    if installed(cli):
        return
    print(f"Installing {cli.package}@{cli.version} into {cli.folder} ...", flush=True)
    cli.folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f".{cli.folder.name}-", dir=cli.folder.parent))
    try:
        _install_into(half, cli)
        half.chmod(0o755)
        half.rename(cli.folder)
    except OSError:
        if not installed(cli):  # else another process was quicker
            raise
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _install_into(folder: Path, cli: Pinned) -> None:
    # newer npm versions ask for consent to install scripts; this one puts the native program in place
    project = {
        "private": True,
        "dependencies": {cli.package: cli.version},
        "allowScripts": {cli.package: True},
    }
    (folder / "package.json").write_text(json.dumps(project))
    command = ["npm", "install", "--no-fund", "--no-audit", "--loglevel=error"]
    ended = subprocess.run(command, cwd=folder)
    if ended.returncode:
        raise SystemExit(f"npm could not install {cli.package}@{cli.version}; its own message is above.")
    program = folder / "node_modules" / ".bin" / cli.name
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if cli.version not in said:
        raise SystemExit(f"{cli.package}@{cli.version} was asked for, and it says that it is: {said.strip()}")


if __name__ == "__main__":
    if shutil.which("npm") is None:
        sys.exit("npm is not installed, and the agent CLIs come from it: install Node.js 20 or newer.")
    for cli in PINNED:
        install(cli)
