"""The sample documents: the good load, and each bad one gets exactly its verdict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aqm.errors import PipelineError
from aqm.pipeline.frozen import freeze, thaw
from aqm.pipeline.resolve import Loaded, load
from aqm.pipeline.schema import json_schema

SAMPLES = Path(__file__).parents[1] / "samples"
GOOD = sorted(path.name for path in SAMPLES.glob("good/*.yaml"))
BAD = sorted(path.name for path in SAMPLES.glob("bad/*.yaml"))

CONTEXTS = "known: both, last_only, none, own, shared"
TOP_KEYS = "known: agents, apiVersion, description, entry_point, imports, name, params, version"

VERDICTS = {
    "01-empty": "1:1: the file is empty; write at least `agents:` with one agent",
    "03-syntax": "3:4: this is not valid YAML: did not find expected '-' indicator;"
    " check the indentation and the brackets of the lines above",
    "05-no-agents": "1:1 agents: agents is missing; write  agents:  and at least one below it",
    "07-agents-null": "2:1 agents: agents is missing; write  agents:  and at least one below it",
    "09-unknown-top-key": f"2:1 pipeline: unknown key 'pipeline'; {TOP_KEYS}",
    "11-missing-id": "3:5 agents[0].id: id is missing;"
    " add it: what other agents call it: a letter, then letters, digits, _ and -",
    "13-numeric-id": "3:10 agents[0].id: id must be text, not the number 7; begin it with a letter",
    "15-missing-runtime": "3:5 agents[0].runtime: runtime is missing;"
    " add it: claude, gemini, codex, command, or a plug-in's name",
    "17-handoff-ghost": "3:46 agents[0].handoffs[0].to: a hands off to 'ghost', and there is no such agent;"
    " known: a",
    "19-handoff-no-to": "3:41 agents[0].handoffs[0].to: to is missing;"
    ' add it: an agent\'s id, a comma list, a list, or "*" with `auto`',
    "21-handoffs-not-list": "3:40 agents[0].handoffs: handoffs must be a list, not a mapping;"
    " write its items in [ ], or each after a -",
    "23-condition-typo": "3:60 agents[0].handoffs[0].condition: unknown condition 'on_aprove';"
    " did you mean 'on_approve'?",
    "25-gate-type": "3:43 agents[0].gate.type: type cannot be 'robot'; known: command, human, llm",
    "29-session-ghost": "3:43 agents[0].participants[0]: 'ghost' is to speak in s,"
    " and there is no such agent; known: s",
    "31-summary-not-participant": "3:62 agents[0].summary_agent: the summary_agent 'z' is not"
    " a participant of s; known: a",
    "33-moderator-without-summary": "3:59 agents[0].turn_order: s has a moderator,"
    " and no summary_agent to be it; add  summary_agent:  with one of the participants",
    "35-empty-keyword": "3:68 agents[0].consensus.keyword: the keyword is empty,"
    " and would be found in every answer; write  keyword: 'VOTE: AGREE'",
    "37-extends-ghost": "3:22 agents[0].extends: a extends 'ghost', and there is no such agent;"
    " add an agent called ghost",
    "41-handoff-to-abstract": "3:46 agents[0].handoffs[0].to: a hands off to 'base', which is abstract;"
    " name an agent that extends base",
    "43-import-ghost-agent": "2:52 imports[0].agents[0]: bad/shared/reviewers.yaml has no agent"
    " called 'ghost'; known: sec_reviewer, style_reviewer",
    "45-import-directory": "2:18 imports[0].from: bad/shared is a folder; name a file, such as  team.yaml",
    "47-param-unknown-ref": "4:37 agents[0].model: there is no param called 'zzz'; known: k",
    "49-param-bad-type": "2:20 params.k.type: type cannot be 'int'; known: boolean, number, string",
    "51-bad-context-strategy": "3:48 agents[0].context_strategy: context_strategy cannot be 'everything';"
    f" {CONTEXTS}",
    "53-retry-negative": "3:51 agents[0].retry.max_retries: max_retries must be at least 0, not -2",
    "55-mcp-no-server": "3:36 agents[0].mcp[0].server: server is missing; add it: the server's name",
    "57-bad-jinja": "3:45 agents[0].system_prompt: the template cannot be read:"
    " unexpected end of template, expected 'end of print statement'; close it with }}",
    "59-python-tag": "3:45 agents[0].system_prompt: the tag !!python/object/apply:os.getcwd is not allowed;"
    " write plain text, numbers, lists and mappings",
    "61-agent-not-mapping": "3:5 agents[0]: agents[0] must be a mapping, not text; write  id:  and  runtime:",
}
UNREACHABLE = "4:10 agents[1].id: no task that starts at a comes to island; hand off to island, or remove it"


def read(path: str) -> str:
    return (SAMPLES / path).read_text()


def loaded(name: str) -> Loaded:
    return load(f"good/{name}", read)


def test_every_bad_sample_has_a_verdict() -> None:
    assert {Path(name).stem for name in BAD} == {*VERDICTS, "63-unreachable-agent"}
    assert len(GOOD) >= 20


@pytest.mark.parametrize("name", VERDICTS)
def test_a_bad_sample_gets_its_verdict_and_no_other(name: str) -> None:
    with pytest.raises(PipelineError) as caught:
        load(f"bad/{name}.yaml", read)
    assert [str(fault) for fault in caught.value.faults] == [f"bad/{name}.yaml:{VERDICTS[name]}"]


def test_an_unreachable_agent_is_a_warning() -> None:
    name = "bad/63-unreachable-agent.yaml"
    (warning,) = load(name, read).warnings
    assert (str(warning), warning.severity) == (f"{name}:{UNREACHABLE}", "warning")


@pytest.mark.parametrize("name", GOOD)
def test_a_good_sample_loads_and_freezes_to_itself(name: str) -> None:
    pipeline = loaded(name).pipeline
    assert thaw(freeze(pipeline)) == pipeline


WARNED = {
    "10-extends-abstract.yaml": "--yolo",
    "30-jinja-logic.yaml": "undefined_thing",
    "35-everything.yaml": "--allowedTools",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_sample_has_no_warning_but_what_is_doubtful(name: str) -> None:
    found = [warning.message for warning in loaded(name).warnings]
    assert len(found) == (name in WARNED)
    assert all(WARNED[name] in message for message in found)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_sample_fits_the_schema(name: str) -> None:
    from jsonschema_rs import Draft202012Validator

    from aqm.document.nodes import plain
    from aqm.document.parser import parse

    document = plain(parse(read(f"good/{name}")))
    assert [error.message for error in Draft202012Validator(json_schema()).iter_errors(document)] == []


# for the rest one must look at more than one key
SEEN_BY_SCHEMA = re.compile("05|07|09|11|13|15|19|21|23|25|33|35|49|51|53|55|61")


@pytest.mark.parametrize("name", [name for name in BAD if SEEN_BY_SCHEMA.match(name)])
def test_a_bad_sample_does_not_fit_the_schema(name: str) -> None:
    from jsonschema_rs import Draft202012Validator

    from aqm.document.nodes import plain
    from aqm.document.parser import parse

    assert not Draft202012Validator(json_schema()).is_valid(plain(parse(read(f"bad/{name}"))))


def test_extends_imports_and_params_come_together() -> None:
    pipeline = loaded("35-everything.yaml").pipeline
    assert pipeline.ids == ("plan", "council", "make", "release", "style_reviewer")
    assert pipeline.own == ("plan", "council", "make", "release")
    plan = pipeline.agent("plan")
    assert (plan.name, plan.runtime, plan.retry.max_retries) == ("Planner for team", "claude", 1)
    assert pipeline.params == {"who": "team"}


def test_short_forms_become_long_ones() -> None:
    agents = loaded("25-human-input-forms.yaml").pipeline.agents
    forms = [agent.human_input and (agent.human_input.enabled, agent.human_input.mode) for agent in agents]
    assert forms == [
        (True, "before"),
        (True, "on_demand"),
        (True, "before"),
        (True, "both"),
        (False, "on_demand"),
        None,
    ]
    (tools,) = loaded("27-mcp-forms.yaml").pipeline.agents
    assert [entry.server for entry in tools.mcp] == ["github", "filesystem", "db", "plain"]
    assert tools.mcp[2].env == {"DATABASE_URL": "postgres://localhost/x", "TOKEN": "$GITHUB_TOKEN"}
    split = loaded("15-fanout-static.yaml").pipeline.agent("split")
    assert split.handoffs[0].to == ("left", "right", "third")


def test_a_lone_reference_keeps_its_type() -> None:
    assert loaded("05-params-shorthand.yaml").pipeline.params == {
        "model": "gemini-2.5-pro",
        "limit": 12,
        "ratio": 0.5,
        "strict": True,
    }
    (agent,) = loaded("05-params-shorthand.yaml").pipeline.agents
    assert agent.system_prompt == "At most 12 lines, ratio 0.5, strict=true. {{ input }}"
