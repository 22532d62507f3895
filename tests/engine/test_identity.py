"""Which process owns a task, and whether it still lives."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from aqm.engine.identity import identity, life, pid_of

SAY = "from aqm.engine.identity import identity; print(identity(), flush=True); input()"


@pytest.fixture
def other():
    process = subprocess.Popen(
        [sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def test_this_process_knows_itself():
    assert life(identity()) == "me"


def test_another_process_is_alive_until_it_is_killed(other):
    process, owner = other
    assert life(owner) == "alive"
    assert pid_of(owner) == str(process.pid)
    process.kill()
    process.wait()
    assert life(owner) == "dead"


def test_a_killed_process_that_nobody_has_waited_for_is_dead(other):
    process, owner = other
    process.kill()
    deadline = time.monotonic() + 5
    while life(owner) == "alive" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert life(owner) == "dead"
    assert process.returncode is None  # it is a zombie still


def test_a_pid_that_was_given_out_again_is_not_the_owner():
    machine, boot, pid, start = identity().split(" ")
    assert life(f"{machine} {boot} {pid} {int(start) - 1}") == "dead"


def test_a_process_of_an_earlier_boot_is_dead():
    machine, boot, pid, start = identity().split(" ")
    assert life(f"{machine} 0000/{boot.partition('/')[2]} {pid} {start}") == "dead"


def test_what_runs_on_another_host_or_in_another_container_cannot_be_seen():
    machine, boot, pid, start = identity().split(" ")
    assert life(f"other {boot} {pid} {start}") == "elsewhere"
    assert life(f"{machine} {boot.partition('/')[0]}/pid:[1] {pid} {start}") == "elsewhere"


def test_nonsense_is_nobody_that_can_be_seen():
    assert life("") == "elsewhere"
