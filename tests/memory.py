"""How much memory a process took at most, in MB.

Not `ru_maxrss` on Linux: a child that was started by vfork begins with its parent's peak.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["own_peak", "wait_for_peak"]


def own_peak() -> float:
    """This process's own, so far."""
    if sys.platform == "linux":
        return _peak("self") or 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)


def wait_for_peak(process: subprocess.Popen[bytes], seconds: float) -> float:
    """The peak of a process until it ends, looked at every few milliseconds; 0 where the host cannot tell."""
    deadline = time.monotonic() + seconds
    peak = 0.0
    while process.poll() is None:
        assert time.monotonic() < deadline, "it does not end"
        if sys.platform == "linux":
            peak = max(peak, _peak(str(process.pid)) or 0.0)
        time.sleep(0.005)
    return peak


def _peak(pid: str) -> float | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
