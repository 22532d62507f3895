"""One turn from claim to hand-over: claim it, call its CLI, close it.

A redelivered, late or forged message ends at the claim; a late outcome ends at the fence.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

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
from aqm.storage.database import OperationalError, store_error

__all__ = ["DRAIN", "run_turn"]

log = logging.getLogger(__name__)

PATIENCE = 8.0  # seconds with a store that cannot be written
DRAIN = "this worker is stopping"  # the reason of a stop that puts turns back


def run_turn(worker: Worker, turn: int, message: str | None = None) -> None:
    worker.window.heard()
    claimed = _claim(worker, turn)
    if claimed is None:
        return  # another worker has it, it was cancelled, or its time has not come
    claim, stop = claimed
    try:
        prepared, outcome = _call(worker, claim, stop)
        ended = _ended(claim, stop, outcome, prepared, message)
        _recorded(worker, ended, put_back=_stopped(outcome) and stop.reason == DRAIN)
    finally:
        worker.running.remove(claim.attempt)


def _stopped(outcome: Outcome) -> bool:
    """Whether our stop ended the CLI: an answer that came all the same was paid for, and counts."""
    return isinstance(outcome, Failure) and outcome.kind is FailureClass.CANCELLED


def _ended(
    claim: Claim, stop: Stop, outcome: Outcome, prepared: Prepared | None, message: str | None
) -> Ended:
    proof = prepared.proof if prepared else None
    lost = _stopped(outcome) and stop.reason == SILENT  # the watchdog's kill is a loss like any other
    if lost:
        outcome = Failure(FailureClass.WORKER_LOST, SILENT, usage=outcome.usage)
    return Ended(claim.turn, claim.attempt, outcome, proof, message, lost)


def _recorded(worker: Worker, ended: Ended, *, put_back: bool) -> None:
    """What a turn did must be written down: a store that fails is tried again for a while, as long as the
    lease surely holds; after that this worker gives up, and the turn is another's to run again."""
    until = time.monotonic() + min(worker.lease / 2, PATIENCE)
    pause = 0.1
    while True:
        try:
            _record(worker, ended, put_back=put_back)
            return
        except OperationalError as error:
            if time.monotonic() + pause > until:
                worker.on_fault(store_error(error, str(worker.database.url.database or "")))
                return
            log.warning("Could not record a turn yet", extra={"action": "close_failed", "error": str(error)})
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _record(worker: Worker, ended: Ended, *, put_back: bool) -> None:
    """Close the turn, or put it back. A fault of ours in deciding or writing fails the turn plainly: it must
    not look like a lost worker, whose turn is run again."""
    try:
        if put_back:
            release(worker, ended)
        else:
            close(worker, ended)
    except OperationalError:
        raise
    except Exception as error:
        log.exception("A turn could not be closed", extra={"action": "close_broke", "turn": ended.turn})
        message = f"a fault in aqm itself, after the answer: {type(error).__name__}: {error}"
        plain = Failure(FailureClass.CRASH, message[:2000])
        close(worker, replace(ended, outcome=plain, prompt=None))


def _claim(worker: Worker, turn: int) -> tuple[Claim, Stop] | None:
    if worker.running.closed or worker.running.troubled:
        return None  # it is rung again
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
        task.recover()
        task.tell(
            EventKind.TURN_START,
            claim.stage,
            claim.agent,
            kind=claim.kind.value,
            runtime=claim.runtime,
            attempt=claim.number,
            round=claim.round,
        )
        news = tuple(task.news)
    stop = worker.running.add(claim.attempt)
    spread(worker, news, ())
    return claim, stop


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
