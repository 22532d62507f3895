"""python -m workers RUNTIME… [--slots N] [--no-control]: a worker of this host for these runtimes' queues."""

from __future__ import annotations

import click

from aqm.engine.canvas import CONTROL, queue_of


@click.command(
    epilog="Examples: python -m workers claude --slots 4  |  python -m workers control, for decisions alone."
)
@click.argument("runtimes", nargs=-1, required=True)
@click.option("--slots", default=4, show_default=True, type=click.IntRange(min=1), help="Turns at once.")
@click.option(
    "--control/--no-control",
    default=True,
    show_default=True,
    help="Also decide on the rounds of sessions, beside the slots. Some worker of the team must.",
)
def main(runtimes: tuple[str, ...], slots: int, control: bool) -> None:
    """Work on the turns of RUNTIMES, from the team's store and broker (AQM_DATABASE_URL, AQM_BROKER_URL)."""
    from workers import app as doorway

    doorway.serve_control = control and CONTROL not in runtimes  # else its own slots decide
    queues = ",".join(queue_of(runtime) for runtime in runtimes)
    command = ["worker", "-Q", queues, "-P", "threads", "--concurrency", str(slots), "-l", "WARNING"]
    doorway.app.worker_main(command)


if __name__ == "__main__":
    main()
