"""Imports: whose params apply, what is offered on, and which paths are refused."""

from __future__ import annotations

from aqm.errors import PipelineError
from aqm.pipeline.resolve import load
from tests.pipeline.documents import faults_of, load_text, reader, said, warnings_of

MAIN = "imports: [{from: lib/b.yaml}]\nagents: [{id: a, runtime: claude, handoffs: [{to: b}]}]\n"


def test_all_agents_come_when_none_are_named() -> None:
    loaded = load_text(MAIN, {"lib/b.yaml": "agents: [{id: b, runtime: gemini}, {id: c, runtime: gemini}]"})
    assert loaded.pipeline.ids == ("a", "b", "c")
    assert loaded.pipeline.own == ("a",)
    assert list(loaded.texts) == ["main.yaml", "lib/b.yaml"]


def test_only_named_agents_come_with_their_own_parents() -> None:
    text = "imports: [{from: b.yaml, agents: [b]}]\nagents: [{id: a, runtime: claude, handoffs: [{to: b}]}]"
    other = """
        agents:
        - {id: base, abstract: true, runtime: codex}
        - {id: b, extends: base}
        - {id: c, runtime: gemini}
    """
    loaded = load_text(text, {"b.yaml": other})
    assert loaded.pipeline.ids == ("a", "b")
    assert loaded.pipeline.agent("b").runtime == "codex"


def test_a_bare_list_can_be_imported_but_is_no_pipeline() -> None:
    bare = "- {id: b, runtime: gemini}\n"
    assert load_text(MAIN, {"lib/b.yaml": bare}).pipeline.ids == ("a", "b")
    assert said(bare) == [
        "main.yaml:1:1: the document must be a mapping, not a list;"
        " begin with a line  agents:  and indent the agents below it"
    ]


def test_paths_are_relative_to_the_importing_file() -> None:
    files = {
        "lib/b.yaml": "imports: [{from: ../other/c.yaml}]\nagents: [{id: b, runtime: gemini, "
        "handoffs: [{to: c}]}]",
        "other/c.yaml": "agents: [{id: c, runtime: gemini}]",
    }
    loaded = load_text(MAIN, files)
    assert loaded.pipeline.ids == ("a", "c", "b")


def test_a_file_that_two_others_import_comes_once() -> None:
    text = "imports: [{from: b.yaml}, {from: c.yaml}]\nagents: [{id: a, runtime: claude}]"
    files = {
        "b.yaml": "imports: [{from: d.yaml}]",
        "c.yaml": "imports: [{from: ./d.yaml}]\nagents: [{id: c, runtime: gemini}]",
        "d.yaml": "agents: [{id: d, runtime: gemini}]",
    }
    assert load_text(text, files).pipeline.ids == ("a", "d", "c")


def test_each_files_params_apply_to_it_and_then_the_documents() -> None:
    text = """
        params: {model: ours, tone: kind}
        imports: [{from: b.yaml}]
        agents: [{id: a, runtime: claude, model: "${{ params.model }}", handoffs: [{to: b}]}]
    """
    other = """
        params: {model: theirs}
        agents: [{id: b, runtime: gemini, model: "${{ params.model }}", name: "${{ params.tone }}"}]
    """
    pipeline = load_text(text, {"b.yaml": other}).pipeline
    found = [(agent.model, agent.name) for agent in pipeline.agents]
    assert found == [("ours", ""), ("theirs", "kind")]
    assert pipeline.params == {"model": "ours", "tone": "kind"}
    given = load_text(text, {"b.yaml": other}, given={"model": "said"}).pipeline
    assert [agent.model for agent in given.agents] == ["said", "said"]


def test_a_param_of_an_imported_file_can_be_given() -> None:
    text = "imports: [{from: b.yaml}]\nagents: [{id: a, runtime: claude}]"
    other = "params: {x: 1}\nagents: [{id: b, runtime: gemini, context_window: '${{ params.x }}'}]"
    pipeline = load_text(text, {"b.yaml": other}, given={"x": "5"}).pipeline
    assert pipeline.agent("b").context_window == 5


def test_a_circle_of_imports_is_named() -> None:
    files = {"lib/b.yaml": "imports: [{from: c.yaml}]", "lib/c.yaml": "imports: [{from: ../main.yaml}]"}
    text = MAIN.replace("to: b", "to: a")
    assert said(text, files) == [
        "lib/c.yaml:1:18 imports[0].from: the imports go round in a circle:"
        " main.yaml imports lib/b.yaml imports lib/c.yaml imports main.yaml; remove one of them"
    ]
    assert (
        "main.yaml imports main.yaml"
        in said("imports: [{from: main.yaml}]\nagents: [{id: a, runtime: claude}]")[0]
    )


def test_no_path_leads_out_of_the_project() -> None:
    for path in ("../b.yaml", "/etc/passwd", "a/../../b.yaml", "''", "' '", ".."):
        found = said(f"imports: [{{from: {path}}}]\nagents: [{{id: a, runtime: claude}}]")
        assert len(found) == 1
        assert found[0].startswith("main.yaml:1:18 imports[0].from: an import must stay inside the project")


def test_a_path_may_climb_as_far_as_the_project() -> None:
    files = {
        ".aqm/pipelines/x.yaml": MAIN.replace("lib/", "../../team/"),
        "team/b.yaml": "[{id: b, runtime: codex}]",
    }
    assert load(".aqm/pipelines/x.yaml", reader(files)).pipeline.ids == ("a", "b")


def test_what_the_reader_refuses_is_a_fault_at_the_import() -> None:
    faults = {
        FileNotFoundError(): "there is no file lib/b.yaml; check the name; it is relative to this file",
        IsADirectoryError(): "lib/b.yaml is a folder; name a file, such as  team.yaml",
        PermissionError(): "lib/b.yaml may not be read; check its permissions; links are refused",
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"): "lib/b.yaml is not UTF-8 text; save it as UTF-8",
        OSError(): "lib/b.yaml cannot be read",
    }
    for error, message in faults.items():
        assert verdict_of_reading(error) == [f"main.yaml:1:18 imports[0].from: {message}"]


def verdict_of_reading(error: Exception) -> list[str]:
    def read(path: str) -> str:
        if path == "main.yaml":
            return MAIN
        raise error

    try:
        load("main.yaml", read)
    except PipelineError as found:
        return [str(fault) for fault in found.faults]
    return []


def test_a_document_that_is_not_there_is_a_fault() -> None:
    try:
        load("x.yaml", reader({}))
    except PipelineError as error:
        found = [str(fault) for fault in error.faults]
    assert found == ["x.yaml: there is no file x.yaml; check the name"]


def test_a_fault_in_an_imported_file_points_there() -> None:
    found = said(MAIN, {"lib/b.yaml": "agents:\n- id: b\n  runtime: gemini\n  handoffs: [{to: ghost}]\n"})
    assert found == [
        "lib/b.yaml:4:19 agents[0].handoffs[0].to: b hands off to 'ghost', and there is no such "
        "agent; known: a, b"
    ]


def test_a_broken_import_does_not_make_its_agents_unknown() -> None:
    found = faults_of(MAIN, {"lib/b.yaml": "agents: [{id: b"})
    assert [fault.file for fault in found] == ["lib/b.yaml"]


def test_two_files_may_not_have_an_agent_of_one_id() -> None:
    found = said(MAIN, {"lib/b.yaml": "agents:\n- {id: b, runtime: codex}\n- {id: a, runtime: codex}\n"})
    assert found == [
        "lib/b.yaml:3:8 agents[1].id: the id 'a' is used twice (also in main.yaml, line 2);"
        " import only the agents that you need, or rename one"
    ]


def test_abstract_agents_of_two_files_may_share_an_id_and_each_file_means_its_own() -> None:
    text = """
        imports: [{from: b.yaml}]
        agents:
        - {id: base, abstract: true, runtime: claude}
        - {id: a, extends: base, handoffs: [{to: b}]}
    """
    other = "agents: [{id: base, abstract: true, runtime: codex}, {id: b, extends: base}]"
    pipeline = load_text(text, {"b.yaml": other}).pipeline
    assert [agent.runtime for agent in pipeline.agents] == ["claude", "codex"]


def test_imports_have_a_form() -> None:
    agents = "\nagents: [{id: a, runtime: claude}]"
    assert "imports must be a list" in said("imports: b.yaml" + agents)[0]
    assert "unknown key 'form'; did you mean 'from'?" in said("imports: [{form: b.yaml}]" + agents)[1]
    assert "from is missing" in said("imports: [{agents: [b]}]" + agents)[0]
    assert "imports[0] must be a mapping, not text" in said("imports: [b.yaml]" + agents)[0]


def test_only_an_imported_file_may_have_imports_alone() -> None:
    assert said("imports: [{from: b.yaml}]", {"b.yaml": "agents: [{id: b, runtime: codex}]"}) == [
        "main.yaml:1:1 agents: agents is missing; write  agents:  and at least one below it"
    ]
    assert said(MAIN.replace("to: b", "to: a"), {"lib/b.yaml": "name: b"}) == [
        "lib/b.yaml:1:1 agents: agents is missing; write  agents:  and at least one below it"
    ]


def test_the_number_of_files_is_bounded() -> None:
    files = {f"f{n}.yaml": f"imports: [{{from: f{n + 1}.yaml}}]" for n in range(60)}
    found = said("imports: [{from: f0.yaml}]\nagents: [{id: a, runtime: claude}]", files)
    assert any("made of more than 50 files" in each for each in found)


def test_an_imported_agent_that_nobody_names_is_only_a_warning_when_it_was_asked_for() -> None:
    files = {"b.yaml": "agents: [{id: b, runtime: codex}, {id: c, runtime: codex}]"}
    agents = "\nagents: [{id: a, runtime: claude}]"
    assert warnings_of("imports: [{from: b.yaml}]" + agents, files) == []
    (warning,) = warnings_of("imports: [{from: b.yaml, agents: [c]}]" + agents, files)
    assert "no task that starts at a comes to c" in warning
