"""python -m bench [workload …]: prints one line a figure; ratios are what counts on a shared machine."""

from __future__ import annotations

import sys

from bench import embedded, parallel, startup

WORKLOADS = {
    "w1": embedded.chain,
    "w2": embedded.many,
    "w3": parallel.fan_out,
    "w4": parallel.session,
    "w5": embedded.growth,
    "w8": startup.startup,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    for name in names or WORKLOADS:
        WORKLOADS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
