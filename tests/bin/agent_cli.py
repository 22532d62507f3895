#!/usr/bin/env -S python3 -IS
"""Plays the part of an agent CLI: it does, one after another, what the JSON list in PLAY says.

Started under the name of a CLI (the links beside it), with any arguments; PLAY_LOG gets what it was given.
"""

# importing pathlib would double the time it takes to start
# ruff: noqa: PTH105, PTH113, PTH116, PTH118, PTH120, PTH123, PTH208

import fcntl
import json
import os
import signal
import sys
import time

SILENT = os.open(os.devnull, os.O_RDWR)


def files_given():
    """Every file that an argument or the turn's own home names, as it is while the turn runs."""
    paths = [word for word in sys.argv[1:] if word.startswith("/") and os.path.isfile(word)]
    home = os.environ.get("GEMINI_CLI_HOME")
    if home:
        folder = os.path.join(home, ".gemini")
        paths += [os.path.join(folder, name) for name in os.listdir(folder)]
    return {path: look_at(path) for path in paths if os.path.isfile(path)}


def look_at(path):
    with open(path) as file:
        modes = [oct(os.stat(place).st_mode)[-3:] for place in (path, os.path.dirname(path))]
        return {"text": file.read(), "mode": modes[0], "folder": modes[1]}


def log(stdin):
    with open(os.environ["PLAY_LOG"], "a") as file:
        given = {"argv": sys.argv, "stdin": stdin, "env": dict(os.environ), "pid": os.getpid()}
        given["files"] = files_given()
        file.write(json.dumps(given) + "\n")


def say(text="", end="\n"):
    sys.stdout.buffer.write((text + end).encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()


def raw(hex_bytes, times=1):
    for _ in range(times):
        sys.stdout.buffer.write(bytes.fromhex(hex_bytes))
    sys.stdout.buffer.flush()


def widen():
    """Let the pipe hold a megabyte."""
    fcntl.fcntl(1, fcntl.F_SETPIPE_SZ if hasattr(fcntl, "F_SETPIPE_SZ") else 1031, 1024 * 1024)


def copy(path, to):
    with open(path, "rb") as file:
        os.write(to, file.read())


def flood(text, megabytes):
    block = (text * (1024 * 1024 // len(text))).encode()
    for _ in range(megabytes):
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def ignore(names):
    for name in names:
        signal.signal(getattr(signal, name), signal.SIG_IGN)


def on_term(text):
    """Say the text when asked to end, and end well."""

    def end(number, frame):
        say(text)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)


def child(seconds, session=False, silent=False, times=1, pid_file=""):
    """Start processes that outlive this one."""
    for _ in range(times):
        if os.fork():
            continue
        if os.fork():
            os._exit(0)
        if session:
            os.setsid()
        if silent:
            for fd in (0, 1, 2):
                os.dup2(SILENT, fd)
        if pid_file:
            with open(pid_file, "a") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        os._exit(0)
    for _ in range(times):
        os.wait()  # the ones in between; what they started belongs to nobody now


def touch(path):
    with open(path, "w"):
        pass


def replace(path, text):
    """Write a new file over the old one, as careful programs do."""
    path = os.path.expandvars(path)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def die(name):
    os.kill(os.getpid(), getattr(signal, name))


ACTS = {
    "say": say,
    "raw": raw,
    "widen": widen,
    "flood": flood,
    "file": lambda path: copy(path, 1),
    "errors": lambda path: copy(path, 2),
    "complain": lambda text: os.write(2, (text + "\n").encode()),
    "sleep": time.sleep,
    "ignore": ignore,
    "on_term": on_term,
    "child": child,
    "touch": touch,
    "replace": replace,
    "close_input": lambda: os.close(0),
    "close_output": lambda: (os.close(1), os.close(2)),
    "die": die,
    "exit": sys.exit,
}

if __name__ == "__main__":
    play = json.loads(os.environ.get("PLAY", "[]"))
    read = not (play and play[0] == ["deaf"])
    stdin = sys.stdin.buffer.read().decode("utf-8", "replace") if read else None
    if "PLAY_LOG" in os.environ:
        log(stdin)
    for act, *arguments in play[0 if read else 1 :]:
        if isinstance(arguments[-1] if arguments else None, dict):
            ACTS[act](*arguments[:-1], **arguments[-1])
        else:
            ACTS[act](*arguments)
