"""Whether a CLI is there, in which version, with a credential: what `aqm doctor` asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aqm.runtimes import RUNTIMES, load
from tests.runtimes.bench import AGENT_CLI, Bench
from tests.runtimes.dialects import DIALECTS

MakeBench = Callable[[str], Bench]
every_runtime = pytest.mark.parametrize("name", RUNTIMES)
every_stream = pytest.mark.parametrize("name", DIALECTS)


@every_runtime
def test_a_probe_finds_what_is_there(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["say", f"{name}-cli 1.22.333 (Build)"])
    probe = load(name).probe(here.host)
    assert probe.found
    if name in DIALECTS:
        assert (probe.version, probe.path) == ("1.22.333", str(AGENT_CLI.with_name(name)))


@every_stream
def test_a_probe_says_how_to_get_what_is_missing(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.set(PATH="/nowhere")
    probe = load(name).probe(here.host)
    assert not probe.found
    assert probe.cure.startswith("Install it: npm install -g @")


@every_stream
def test_a_probe_of_a_broken_cli_shows_what_it_said(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["complain", "wants node >= 22"], ["exit", 1])
    probe = load(name).probe(here.host)
    assert (probe.found, probe.version) == (True, "")
    assert "wants node >= 22" in probe.cure


@every_stream
def test_a_probe_tells_whether_there_is_a_credential(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["say", "1.0.0"])
    assert load(name).probe(here.host).logged_in in (False, None)
    keys = {"claude": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY", "codex": "CODEX_API_KEY"}
    here.set(**{keys[name]: "secret"})
    assert load(name).probe(here.host).logged_in is True
