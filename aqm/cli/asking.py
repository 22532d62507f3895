"""A task that waits for a person asks right here: the work and the question are shown, the answer goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from aqm.cli.doorway import Doorway
from aqm.cli.interrupt import Interrupts
from aqm.cli.keyboard import forget_typed, typed
from aqm.cli.terminal import Part, Screen
from aqm.cli.view import View
from aqm.errors import ConflictError
from aqm.flow.state import Waits
from aqm.service.project import Project
from aqm.service.views import Waiting

__all__ = ["Desk"]

_LINES, _CHARACTERS = 20, 2_000  # of the work that are shown
_APPROVE, _REJECT, _LATER = ("a", "approve", "y", "yes"), ("r", "reject", "n", "no"), ("l", "later", "")


class _Answer(Enum):
    GIVEN = "given"
    LATER = "later"
    ELSEWHERE = "elsewhere"  # it is no longer asked


@dataclass(slots=True)
class Desk:
    """Asks each question once; who says `later` is told what to type, when all is said."""

    doorway: Doorway
    project: Project
    interrupts: Interrupts
    view: View
    _done: set[tuple[str, int, str]] = field(default_factory=set)
    _closed: bool = False  # Ctrl-C: nothing is asked any more

    @property
    def _screen(self) -> Screen:
        return self.view.screen

    def ask(self, tasks: Sequence[str]) -> bool:
        """Whether a task can go on: something was answered, here or elsewhere."""
        answered = False
        for task in [] if self._closed else tasks:
            for each in self._open_questions(task):
                with self.view.held(), self.interrupts.asking():
                    answer = self._one(task, each, many=len(tasks) > 1)
                if answer is not _Answer.GIVEN:
                    self._done.add(_key(task, each))
                answered = answered or answer is not _Answer.LATER
                if self._over:
                    self._closed = True
                    return answered
        return answered

    @property
    def _over(self) -> bool:
        """Ctrl-C, a signal, or a terminal that is gone."""
        return self.interrupts.refused or self.interrupts.caught or self.view.broken is not None

    def _open_questions(self, task: str) -> Iterator[Waiting]:
        """One after the other: the answer to one may change what else is asked."""
        from aqm.service.answering import waiting

        asked: set[tuple[str, int, str]] = set()
        while True:
            known = self._done | asked
            found = [each for each in waiting(self.project, task) if _key(task, each) not in known]
            if not found:
                return
            asked.add(_key(task, found[0]))
            yield found[0]

    # One question --------------------------------------------------------------------------

    def _one(self, task: str, asked: Waiting, *, many: bool) -> _Answer:
        self._show(task, asked, many=many)
        try:
            if asked.waits is Waits.GATE:
                return self._verdict(task, asked)
            return self._input(task, asked)
        except ConflictError as error:  # somebody else was first
            self._screen.line((str(error), "yellow"))
            return _Answer.ELSEWHERE

    def _show(self, task: str, asked: Waiting, *, many: bool) -> None:
        screen = self._screen
        what = "waits for your approval" if asked.waits is Waits.GATE else "asks you"
        place = [*([task] if many else []), str(asked.stage), *([asked.branch] if asked.branch else [])]
        screen.line()
        screen.line((f"── {' · '.join([*place, f'{asked.agent} {what}'])} ──", "title"))
        work, left = _cut(asked.output)
        if work:
            screen.line(work)
        if left:
            rest = self.doorway.hint(f"aqm logs {task} --stage {asked.stage}")
            screen.line((f"  … {left}; all of it: {rest}", "dim"))
        screen.line((asked.question.strip(), "bold"))
        forget_typed()

    def _verdict(self, task: str, asked: Waiting) -> _Answer:
        from aqm.service.answering import approve, reject

        while True:
            word = self._typed(task, asked, "[a]pprove, [r]eject or [l]ater: ")
            if word is None:
                return self._unanswered(task, asked)
            if word.lower() in _LATER:
                return _Answer.LATER
            if word.lower() in _APPROVE:
                approve(self.project, task, stage=asked.stage)
                return _Answer.GIVEN
            if word.lower() not in _REJECT:
                self._screen.line(("type a, r or l", "yellow"))
                continue
            reason = self._typed(task, asked, "what is missing: ", lines=True)
            if reason is None:
                return self._unanswered(task, asked)
            if reason:
                reject(self.project, task, reason, stage=asked.stage)
                return _Answer.GIVEN
            self._screen.line(("a rejection needs a reason", "yellow"))

    def _input(self, task: str, asked: Waiting) -> _Answer:
        from aqm.service.answering import answer

        words = self._typed(task, asked, "your answer (Enter alone: later): ", lines=True)
        if words is None:
            return self._unanswered(task, asked)
        if not words:
            return _Answer.LATER
        answer(self.project, task, words, stage=asked.stage)
        return _Answer.GIVEN

    def _unanswered(self, task: str, asked: Waiting) -> _Answer:
        self._screen.line()
        if self._over or not self._gone(task, asked)():
            return _Answer.LATER
        self._screen.line((f"stage {asked.stage} waits no longer: that was decided elsewhere", "yellow"))
        return _Answer.ELSEWHERE

    def _typed(self, task: str, asked: Waiting, prompt: Part, *, lines: bool = False) -> str | None:
        self._screen.write(prompt)
        gone = self._gone(task, asked)
        return typed(lambda: self._over or gone(), lines=lines)

    def _gone(self, task: str, asked: Waiting) -> Callable[[], bool]:
        from aqm.service.answering import waiting

        return lambda: _key(task, asked) not in {_key(task, each) for each in waiting(self.project, task)}


def _key(task: str, asked: Waiting) -> tuple[str, int, str]:
    return task, asked.stage, asked.question


def _cut(text: str) -> tuple[str, str]:
    """The beginning of the work, and how much more there is of it."""
    lines = text.strip().split("\n") if text.strip() else []
    shown = "\n".join(lines[:_LINES])
    if len(shown) > _CHARACTERS:
        return shown[:_CHARACTERS] + "…", f"{len(text) - _CHARACTERS} more characters"
    left = len(lines) - _LINES
    return shown, f"{left} more {'line' if left == 1 else 'lines'}" if left > 0 else ""
