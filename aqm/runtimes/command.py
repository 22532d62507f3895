"""Any program as an agent: the prompt on its stdin, the answer on its stdout."""

from __future__ import annotations

from collections.abc import Mapping

from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome
from aqm.runtimes import process
from aqm.runtimes.arguments import with_system
from aqm.runtimes.base import Host, OnLive, Permissions, Probe, Prompt, Stop, Text
from aqm.runtimes.environment import environment
from aqm.runtimes.lines import Pieces, clean
from aqm.runtimes.process import Command as Process
from aqm.runtimes.process import Ending, Exit
from aqm.runtimes.stream import end_trouble, ended, tail

__all__ = ["Command"]

ANSWER_LIMIT = 10 * 1024 * 1024  # bytes; of a longer output both ends are kept


class Command:
    """The runtime `command`."""

    name = "command"
    harmless: Mapping[str, bool] = {}

    def confined(self, permissions: Permissions) -> bool:
        """Nothing but our own sandbox can confine a program that knows nothing of permissions."""
        return False

    def probe(self, host: Host) -> Probe:
        return Probe(found=True, logged_in=True)

    def run(self, prompt: Prompt, host: Host, on_live: OnLive, stop: Stop) -> Outcome:
        if not prompt.command:
            return Failure(FailureClass.CRASH, f"the agent {prompt.agent!r} has no `command`")
        command = Process(
            argv=tuple(clean(word) for word in (*prompt.command, *prompt.flags)),
            cwd=prompt.workspace,
            env=environment(host),
            mark=prompt.mark,
            stdin=clean(with_system(prompt)).encode(),
            wall=prompt.timeout,
            idle=prompt.idle_timeout,
            keep=ANSWER_LIMIT,
            protection=host.protection,
        )
        exit = process.run(command, stop, Pieces(lambda piece: on_live(Text(piece))))
        return _outcome(prompt.command[0], exit)


def _outcome(program: str, exit: Exit) -> Outcome:
    answer = exit.stdout.rstrip("\n")
    if exit.ending is not Ending.EXITED:
        kind, message, _ = end_trouble(program, exit)
        return Failure(kind, message, partial=answer, exit_code=exit.code)
    if exit.code == 0:
        return Answer(answer)
    printed = tail(exit.stderr) or tail(answer)
    full = "No space left on device" in printed
    kind = FailureClass.DISK_FULL if full else FailureClass.CRASH
    message = f"{program} {ended(exit.code)}"
    return Failure(kind, f"{message}:\n{printed}" if printed else message, answer, exit_code=exit.code)
