"""The instant agent CLI: compiled C where there is a compiler, else a shell script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["instant"]

SCRIPT = """#!/bin/sh
cat >/dev/null
[ -n "$2" ] && sleep "$2"
[ "${1:-0}" -gt 0 ] && exec head -c "$1" /dev/zero | tr '\\0' 'a'
printf ok
"""


def instant(folder: Path) -> Path:
    binary = folder / "instant"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler:
        source = Path(__file__).parent / "instant.c"
        subprocess.run([compiler, "-O2", "-o", str(binary), str(source)], check=True)
    else:
        binary.write_text(SCRIPT)
        binary.chmod(0o755)
    return binary
