"""python -m workers RUNTIME… [--slots N]: a worker of this host for these runtimes' queues."""

from __future__ import annotations

import click

from aqm.engine.canvas import queue_of


@click.command(epilog="Example: python -m workers claude --slots 4")
@click.argument("runtimes", nargs=-1, required=True)
@click.option("--slots", default=4, show_default=True, type=click.IntRange(min=1), help="Turns at once.")
def main(runtimes: tuple[str, ...], slots: int) -> None:
    """Work on the turns of RUNTIMES, from the team's store and broker (AQM_DATABASE_URL, AQM_BROKER_URL)."""
    from workers.app import app

    queues = ",".join(queue_of(runtime) for runtime in runtimes)
    app.worker_main(["worker", "-Q", queues, "-P", "threads", "--concurrency", str(slots), "-l", "WARNING"])


if __name__ == "__main__":
    main()
