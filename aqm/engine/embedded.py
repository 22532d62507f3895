"""Celery inside one process: a memory broker that is woken by a bell instead of polling, and its worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from itertools import count
from queue import Empty
from typing import Any

from celery import Celery
from celery.worker import WorkController
from kombu.entity import Queue
from kombu.transport import memory, virtual

from aqm.engine.canvas import CONTROL, queue_of
from aqm.engine.messages import SETTINGS, register
from aqm.engine.ring import Ringer
from aqm.engine.worker import Worker

__all__ = ["Embedded", "Transport"]

_instances = count(
    1
)  # kombu's memory queues are shared by the whole process: each instance has its own names


class _Bell:
    """Rung after each put and each freed slot; a consumer that counted before it looked misses none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def ring(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count != seen, seconds)


_bell = _Bell()


class _QoS(virtual.QoS):
    def ack(self, delivery_tag: Any) -> None:
        super().ack(delivery_tag)
        _bell.ring()


class _Channel(memory.Channel):
    QoS = _QoS

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        _bell.ring()

    def _put_fanout(self, exchange: str, message: Any, routing_key: str | None = None, **kwargs: Any) -> None:
        super()._put_fanout(exchange, message, routing_key, **kwargs)
        _bell.ring()


class Transport(memory.Transport):
    """kombu's memory transport, woken instead of polled."""

    Channel = _Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        seen = _bell.count
        try:
            self._look()
        except Empty:
            _bell.wait(seen, timeout)
            self._deliver_or_time_out()

    def _look(self) -> None:
        """Deliver one message, the queues taking turns; Empty when there is none."""
        assert self.cycle is not None
        self.cycle.get(self._deliver)

    def _deliver_or_time_out(self) -> None:
        """One more look, so that a ring without a message (the end) gives the consumer its say."""
        try:
            self._look()
        except Empty:
            raise TimeoutError from None


class Embedded:
    """A Celery app and its workers, in threads of this process: one runs turns, one decides on rounds, so
    that no decision waits for a slot."""

    def __init__(self, runtimes: Iterable[str], slots: int) -> None:
        self._prefix = f"e{next(_instances)}."
        self._slots = slots
        # an app each: which queues a worker consumes is a matter of its app
        self.app = _app([queue_of(name, self._prefix) for name in runtimes])
        self._control = _app([queue_of(CONTROL, self._prefix)])
        self.ringer = Ringer(self.app, self._prefix)
        self._controllers: list[Any] = []
        self._threads: list[threading.Thread] = []

    def start(self, worker: Callable[[], Worker]) -> None:
        self.app.set_default()  # the pool's threads ask for the current app when they run a message
        self._open("turns", self.app, self._slots, worker)
        self._open("control", self._control, 1, worker)

    def _open(self, name: str, app: Celery, slots: int, worker: Callable[[], Worker]) -> None:
        register(app, worker)
        controller = WorkController(
            app=app,
            pool_cls="threads",
            concurrency=slots,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            hostname=f"{self._prefix}{name}@embedded",
            quiet=True,
        )
        thread = threading.Thread(target=_run, args=(controller,), name=f"aqm-{name}", daemon=True)
        thread.start()
        self._controllers.append(controller)
        self._threads.append(thread)

    def stop(self) -> None:
        """Take no more messages; the turns that run must have been stopped before."""
        for controller in self._controllers:
            controller.stop()
        _bell.ring()
        for thread in self._threads:
            thread.join(2.0)


def _run(controller: Any) -> None:
    try:
        controller.start()
    except Exception:
        logging.getLogger(__name__).exception("An embedded worker broke", extra={"action": "worker_broke"})


def _app(queues: list[str]) -> Celery:
    app = Celery("aqm", set_as_current=False)
    app.conf.update(
        SETTINGS,
        broker_url="memory://",
        broker_transport=f"{__name__}:Transport",
        result_backend="cache+memory://",  # for chords
        task_queues=[Queue(name) for name in queues],
        task_default_queue=queues[0],
        worker_enable_remote_control=False,
        broker_pool_limit=1,
    )
    return app
