"""One turn from claim to hand-over: claim it, call its CLI, close it.

A redelivered, late or forged message ends at the claim; a late outcome ends at the fence.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from aqm.engine.advance import Ended, close, release, spread
from aqm.engine.heartbeat import SILENT
from aqm.engine.live import LiveFile
from aqm.engine.prompting import Prepared, prepare
from aqm.engine.worker import Worker
from aqm.flow.event import EventKind
from aqm.flow.outcome import Failure, FailureClass, Outcome
from aqm.flow.state import TaskStatus
from aqm.runtimes import get
from aqm.runtimes.base import Live, Stop
from aqm.runtimes.consent import consent
from aqm.storage import claims, tasks
from aqm.storage.claims import Claim
from aqm.storage.database import DatabaseError, store_error

__all__ = ["DRAIN", "run_turn"]

log = logging.getLogger(__name__)

PATIENCE = 8.0  # seconds with a store that cannot be written
DRAIN = "this worker is stopping"  # the reason of a stop that puts turns back


def run_turn(worker: Worker, turn: int, message: str | None = None) -> None:
    worker.window.heard()
    claim = _claim(worker, turn)
    if claim is None:
        return  # another worker has it, it was cancelled, or its time has not come
    stop = worker.running.add(claim.attempt)
    try:
        prepared, outcome = _call(worker, claim, stop)
        proof = prepared.proof if prepared else None
        ended = Ended(turn, claim.attempt, outcome, proof, message)
        put_back = stop.reason in (DRAIN, SILENT)
        _recorded(worker, (lambda: release(worker, ended)) if put_back else (lambda: close(worker, ended)))
    finally:
        worker.running.remove(claim.attempt)


def _recorded(worker: Worker, record: Callable[[], object]) -> None:
    """What a turn did must be written down: a store that fails is tried again for a while, as long as the
    lease surely holds; after that this worker gives up, and the turn is another's to run again."""
    until = time.monotonic() + min(worker.lease / 2, PATIENCE)
    pause = 0.1
    while True:
        try:
            record()
            return
        except DatabaseError as error:
            if time.monotonic() + pause > until or worker.running.closed:
                worker.on_fault(store_error(error, str(worker.database.url.database or "")))
                return
            log.warning("Could not record a turn yet", extra={"action": "close_failed", "error": str(error)})
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _claim(worker: Worker, turn: int) -> Claim | None:
    if worker.running.closed:
        return None
    with (
        worker.database.writing(durable=False) as connection,
        tasks.lock_of_turn(connection, turn) as task,
    ):
        if task is None:
            return None
        claim = claims.claim(connection, task, turn, worker.name, worker.lease)
        if claim is None:
            return None
        task.move(TaskStatus.IN_PROGRESS)
        task.tell(
            EventKind.TURN_START,
            claim.stage,
            claim.agent,
            kind=claim.kind.value,
            runtime=claim.runtime,
            attempt=claim.number,
        )
        news = tuple(task.news)
    spread(worker, news, ())
    return claim


def _call(worker: Worker, claim: Claim, stop: Stop) -> tuple[Prepared | None, Outcome]:
    """Prepare the prompt and call the CLI; a fault of ours becomes a failure of the turn, so that no task
    hangs on it."""
    try:
        prepared = prepare(worker, claim)
        if isinstance(prepared, Failure):
            return None, prepared
        refused = _refusal(worker, claim, prepared)
        if refused is not None:
            return prepared, refused
        path = worker.live_folder / claim.attempt if worker.live_folder else None

        def listen(live: Live) -> None:
            worker.on_live(claim, live)

        with LiveFile(path, listen, worker.feed) as live:
            runtime = get(claim.runtime, worker.host)
            return prepared, runtime.run(prepared.prompt, worker.host, live, stop)
    except Exception as error:
        log.exception("A turn broke", extra={"action": "turn_broke", "turn": claim.turn})
        message = f"a fault in aqm itself: {type(error).__name__}: {error}"
        return None, Failure(FailureClass.CRASH, message)


def _refusal(worker: Worker, claim: Claim, prepared: Prepared) -> Failure | None:
    """What the host's operator has not allowed is not started."""
    if worker.host.script is not None:
        return None
    allowed = worker.consent
    refusal = consent(
        claim.runtime,
        prepared.prompt.permissions,
        prepared.prompt.flags,
        allow_full=allowed.allow_full,
        allow_unconfined=allowed.allow_unconfined,
        allowed_flags=allowed.flags,
    )
    if refusal is None:
        return None
    return Failure(FailureClass.WORKER_REFUSED, f"{claim.agent}: {refusal.message}")
