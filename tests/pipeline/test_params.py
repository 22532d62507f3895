"""Params: which value is in force, what types they take, and where `${{ params.x }}` may stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.errors import PipelineError
from aqm.pipeline.params import read_values, to_ask
from aqm.pipeline.spec import Agent, Param
from aqm.pipeline.templates import render
from tests.pipeline.documents import faults_of, load_text, said, warnings_of


def pipeline(params: str, **agent: str) -> str:
    keys = "".join(f", {key}: {value}" for key, value in agent.items())
    return f"params: {params}\nagents:\n- {{id: a, runtime: claude{keys}}}\n"


def agent_of(text: str, **options: object) -> Agent:
    (agent,) = load_text(text, **options).pipeline.agents
    assert isinstance(agent, Agent)
    return agent


@pytest.mark.parametrize(
    ("given_", "file", "value"),
    [
        ({}, {}, "default"),
        ({}, {"x": "file"}, "file"),
        ({"x": "given"}, {"x": "file"}, "given"),
        ({"x": ""}, {"x": "file"}, ""),
    ],
)
def test_the_command_line_wins_over_the_file_and_that_over_the_default(
    given_: dict[str, str], file: dict[str, str], value: str
) -> None:
    loaded = load_text(pipeline("{x: default}"), given=given_, file_values=file)
    assert loaded.pipeline.params == {"x": value}


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        ("{x: 1}", "2", 2),
        ("{x: 1}", "2.5", 2.5),
        ("{x: 1}", " -3 ", -3),
        ("{x: true}", "false", False),
        ("{x: true}", "True", True),
        ("{x: a}", "7", "7"),
        ("{x: a}", "true", "true"),
        ("{x: null}", "7", "7"),
        ("{x: {type: number}}", "7", 7),
        ("{x: {default: 1}}", "7", 7),
        ("{x: {type: string, default: 1}}", "2", "2"),
    ],
)
def test_a_value_of_the_command_line_takes_the_type_of_its_param(
    declared: str, text: str, value: object
) -> None:
    found = load_text(pipeline(declared), given={"x": text}).pipeline.params["x"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("declared", "default"),
    [
        ("{x: 1.10}", 1.1),
        ("{x: {type: string, default: 1.10}}", "1.10"),
        ("{x: {type: number, default: '5'}}", 5),
        ("{x: {type: boolean, default: 'true'}}", True),
        ("{x: null}", ""),
        ("{x: {type: number}}", ""),
        ("{x: {default: null}}", ""),
        ("{x: yes}", "yes"),
    ],
)
def test_a_default_has_the_type_that_is_declared_or_its_own(declared: str, default: object) -> None:
    found = load_text(pipeline(declared)).pipeline.params["x"]
    assert (found, type(found)) == (default, type(default))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            pipeline("{x: {type: number, default: a}}"),
            "main.yaml:1:37 params.x.default: the default must be a number, not 'a'; change the "
            "type or the default",
        ),
        (
            pipeline("{x: {type: boolean, default: 1}}"),
            "main.yaml:1:38 params.x.default: the default must be true or false, not '1'; change "
            "the type or the default",
        ),
        (
            pipeline("{x: [1]}"),
            "main.yaml:1:13 params.x: a param must be text, a number, true or false, or a mapping "
            "with its default; write  name: value",
        ),
        (
            pipeline("{x: {default: [1]}}"),
            "main.yaml:1:23 params.x.default: default must be text, a number, true or false",
        ),
        (
            pipeline("{x: {defualt: 1}}"),
            "main.yaml:1:14 params.x.defualt: unknown key 'defualt'; did you mean 'default'?",
        ),
        (
            pipeline("{'a b': 1}"),
            "main.yaml:1:10 params.a b: a param cannot be called 'a b'; start with a letter or _, "
            "then letters, digits, _ and -",
        ),
        (
            pipeline("{x: 1, y: '${{ params.x }}'}"),
            "main.yaml:1:19 params.y: a param cannot refer to another one; write its value",
        ),
        (pipeline("[x]"), "main.yaml:1:9 params: params must be a mapping; write  name: default  lines"),
    ],
)
def test_a_wrong_declaration_is_a_fault(text: str, message: str) -> None:
    assert said(text) == [message]


def test_a_wrong_value_is_a_fault_where_it_was_given() -> None:
    text = pipeline("{x: 1, y: true}")
    file = read_values("# ours\ny: maybe\n", ".aqm/params.yaml")
    assert said(text, given={"x": "a"}, file_values=file) == [
        "-p x: the value of 'x' must be a number, not 'a'",
        ".aqm/params.yaml:2:4 y: the value of 'y' must be true or false, not 'maybe'",
    ]


def test_half_a_character_is_no_value() -> None:
    assert "holds a NUL or half a character" in said(pipeline("{x: a}"), given={"x": "\udc80"})[0]


def test_an_unknown_name_on_the_command_line_is_refused_with_the_nearest() -> None:
    found = faults_of(pipeline("{language: x}"), given={"langauge": "y"})
    assert [str(fault) for fault in found] == [
        "-p langauge: there is no param called 'langauge'; did you mean 'language'?"
    ]
    assert "this pipeline has no params" in said("agents: [{id: a, runtime: claude}]", given={"x": "1"})[0]


def test_a_params_file_may_serve_other_pipelines_but_a_near_miss_is_told() -> None:
    text = pipeline("{language: x}")
    assert warnings_of(text, file_values=read_values("team: a\n", "p.yaml")) == []
    (warning,) = warnings_of(text, file_values=read_values("langauge: a\n", "p.yaml"))
    assert warning == "p.yaml:1:11 langauge: there is no param called 'langauge'; did you mean 'language'?"
    assert warnings_of(text, file_values=read_values("language: b\nlangauge: a\n", "p.yaml")) == []


def test_a_params_file_holds_plain_values() -> None:
    assert read_values("", "p") == read_values("# a\n\n", "p") == {}
    assert [each.value for each in read_values("a: 1\nb: null\n", "p").values()] == [1]
    with pytest.raises(PipelineError, match="the value of 'a' must be text, a number, true or false"):
        read_values("a: [1]", "p")
    with pytest.raises(PipelineError, match="the file must be a mapping"):
        read_values("- a", "p")


def test_a_required_param_without_a_value_is_told_and_named() -> None:
    text = pipeline("{x: {required: true}, y: {required: true, default: 1}}")
    loaded = load_text(text)
    assert loaded.missing == ("x",)
    assert [warning.message for warning in loaded.warnings] == ["the param 'x' has no value"]
    assert load_text(text, given={"x": ""}).missing == ()
    assert load_text(text, file_values={"x": "a"}).missing == ()


def test_a_required_param_without_a_value_is_a_fault_where_one_is_asked_for() -> None:
    text = pipeline('{x: {required: true, description: "a\\n name"}, y: 1}')
    assert said(text, required=True) == [
        "main.yaml:1:10 params.x: the param 'x' (a name) has no value;"
        " give one with  -p x=VALUE  or in .aqm/params.yaml"
    ]
    assert load_text(text, given={"x": ""}, required=True).missing == ()


@pytest.mark.parametrize("required", [True, False])
def test_a_value_that_lacks_is_told_beside_what_is_wrong_without_it(required: bool) -> None:
    text = "params: {x: {required: true}}\nagents: [{id: a, runtime: '${{ params.x }}'}]"
    found = faults_of(text, required=required)
    assert [(fault.at, fault.severity) for fault in found] == [
        ("params.x", "error" if required else "warning"),
        ("agents[0].runtime", "error"),
    ]


def test_a_param_of_an_imported_file_is_known_on_the_command_line() -> None:
    text = "imports: [{from: lib.yaml}]\nagents: [{id: a, runtime: claude}]"
    lib = {"lib.yaml": "imports: [{from: deep.yaml}]\nparams: {language: Go}", "deep.yaml": DEEP}
    assert load_text(text, lib, given={"language": "C", "deep": "2"}).pipeline.params == {
        "language": "C",
        "deep": 2,
    }
    assert said(text, lib, given={"langauge": "C", "depe": "2"}) == [
        "-p langauge: there is no param called 'langauge'; did you mean 'language'?",
        "-p depe: there is no param called 'depe'; did you mean 'deep'?",
    ]


DEEP = "params: {deep: 1}\nagents: [{id: b, runtime: claude}]"


def test_what_has_a_question_or_must_have_a_value_is_asked_for() -> None:
    params = {
        "plain": Param(),
        "asked": Param(prompt="Which?", default="x"),
        "detected": Param(auto_detect="Look."),
        "needed": Param(required=True),
        "settled": Param(required=True, default="x"),
        "given": Param(prompt="?"),
        "filed": Param(prompt="?"),
    }
    assert list(to_ask(params, {"given": "1"}, {"filed": 1})) == ["asked", "detected", "needed"]


# References --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("context_window", "'${{ params.n }}'", 12),
        ("context_window", "' ${{params.n}} '", 12),
        ("timeout", "'${{ params.f }}'", 1.5),
        ("model", "'${{ params.n }}'", "12"),
        ("model", "'${{ params.f }}'", "1.5"),
        ("model", "'v${{ params.n }}-${{ params.s }}'", "v12-a"),
        ("cli_flags", "['${{ params.n }}', '--x=${{ params.b }}']", ("12", "--x=true")),
        ("model", "'${{ other.n }}'", "${{ other.n }}"),
        ("model", "'${{ params }}'", "${{ params }}"),
        ("model", "'$ {{ params.n }}'", "$ {{ params.n }}"),
    ],
)
def test_a_lone_reference_keeps_its_type_and_the_others_are_text(
    key: str, written: str, value: object
) -> None:
    agent = agent_of(pipeline("{n: 12, f: 1.5, b: true, s: a}", **{key: written}))
    assert getattr(agent, key) == value


def test_a_lone_number_is_refused_where_neither_number_nor_text_will_do() -> None:
    text = pipeline("{n: 12}", human_input="'${{ params.n }}'")
    assert said(text) == [
        "main.yaml:3:41 agents[0].human_input: human_input must be a mapping, not the number 12;"
        " write it as  key: value  lines"
    ]


def test_an_unknown_reference_is_a_fault_with_the_nearest() -> None:
    text = pipeline("{model: x}", model="'${{ params.modle }} and ${{ params.modle }}'")
    assert said(text) == [
        "main.yaml:3:35 agents[0].model: there is no param called 'modle'; did you mean 'model'?"
    ]
    assert said("agents: [{id: a, runtime: claude, model: '${{ params.x }}'}]") == [
        "main.yaml:1:42 agents[0].model: there is no param called 'x'; declare it under params:"
    ]


def test_the_header_takes_references_too() -> None:
    text = "params: {who: us}\nname: team of ${{ params.who }}\nagents: [{id: a, runtime: claude}]"
    assert load_text(text).pipeline.name == "team of us"


HOSTILE = [
    "{{ 7 * 7 }}",
    "{% for i in range(9) %}x{% endfor %}",
    "{# gone #}",
    "{",
    "}}",
    "%}",
    "{%",
    "' ~ input ~ '",
    '" ~ input ~ "',
    "\\' ~ input ~ \\'",
    "{% endraw %}{{ 7 * 7 }}",
    "line\nbreak",
    "ü 😀 \\n \\x41",
    "input",
]
TEMPLATES = [
    "say ${{ params.x }}!",
    "{${{ params.x }}{ input }}",
    "{{ 'say ' ~ '${{ params.x }}!' }}",
    '{{ "say ${{ params.x }}!" }}',
    "{% if '${{ params.x }}' == params.x %}same{% endif %}",
    "{% raw %}say ${{ params.x }}!{% endraw %}",
    "{{ input }} ${{ params.x }}{# ${{ params.x }} #}",
    "{{ input }}{${{ params.x }}{ input }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_never_becomes_template_source(template: str, value: str) -> None:
    assert rendered(template, value) == expected(template, value)


@given(template=st.sampled_from(TEMPLATES), value=st.text(alphabet="{}%#'\"\\ ~$aé\n-", max_size=12))
def test_no_value_at_all_becomes_template_source(template: str, value: str) -> None:
    assert rendered(template, value) == expected(template, value)


def rendered(template: str, value: str) -> str:
    text = (
        f"params: {{x: a}}\nagents:\n- id: a\n  runtime: claude\n  system_prompt: {yaml_string(template)}\n"
    )
    agent = agent_of(text, given={"x": value})
    return render(agent.system_prompt, {"input": "INPUT", "params": {"x": value}})


def expected(template: str, value: str) -> str:
    return {
        TEMPLATES[0]: f"say {value}!",
        TEMPLATES[1]: f"{{{value}{{ input }}}}",
        TEMPLATES[2]: f"say {value}!",
        TEMPLATES[3]: f"say {value}!",
        TEMPLATES[4]: "same",
        TEMPLATES[5]: f"say {value}!",
        TEMPLATES[6]: f"INPUT {value}",
        TEMPLATES[7]: f"INPUT{{{value}{{ input }}}}",
    }[template]


def yaml_string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_a_default_that_looks_like_a_template_is_told_to_be_text() -> None:
    text = pipeline("{x: 'Do {{ input }}'}", system_prompt="'${{ params.x }}'")
    loaded = load_text(text)
    (agent,) = loaded.pipeline.agents
    assert render(agent.system_prompt, {"input": "it"}) == "Do {{ input }}"
    (warning,) = loaded.warnings
    assert "inserted as text" in warning.message
    assert warning.at == "agents[0].system_prompt"


@pytest.mark.parametrize("value", ["12", "true", "1.5"])
def test_numbers_and_booleans_may_stand_bare_in_a_block(value: str) -> None:
    text = pipeline(f"{{x: {value}}}", system_prompt="'{% if ${{ params.x }} %}yes{% endif %}'")
    assert agent_of(text).system_prompt == f"{{% if {value} %}}yes{{% endif %}}"


def test_text_may_not_stand_bare_in_a_block() -> None:
    text = pipeline("{x: input}", system_prompt="'{% if ${{ params.x }} %}yes{% endif %}'")
    assert said(text)[0] == (
        "main.yaml:3:43 agents[0].system_prompt: a ${{ }} stands where the template cannot take it;"
        " inside {{ … }} and {% … %} write params.x, without ${{ }}"
    )


@pytest.mark.parametrize(
    ("value", "fits"), [("high", True), ("1.5", True), ("x' || true || '", False), ("a)", False)]
)
def test_a_condition_takes_plain_words_only(value: str, fits: bool) -> None:
    text = pipeline("{x: low}", handoffs="[{to: a, condition: 'severity == ${{ params.x }}'}]")
    if fits:
        assert agent_of(text, given={"x": value}).handoffs[0].condition == f"severity == {value}"
    else:
        assert "is no plain word for a condition" in said(text, given={"x": value})[0]


@pytest.mark.parametrize(
    ("value", "fits"),
    [("tests/a.py", True), ("a b", False), ("-x", False), ("$(id)", False), ("a;b", False), ("", False)],
)
def test_a_command_line_takes_one_plain_word_only(value: str, fits: bool) -> None:
    text = pipeline("{x: t}", gate="{type: command, run: 'pytest ${{ params.x }}'}")
    if fits:
        gate = agent_of(text, given={"x": value}).gate
        assert gate is not None
        assert gate.run == f"pytest {value}"
    else:
        assert "is no plain word for a command line" in said(text, given={"x": value})[0]


def test_a_word_of_argv_may_be_anything() -> None:
    text = pipeline("{x: t}", gate="{type: command, run: [pytest, '${{ params.x }}']}")
    gate = agent_of(text, given={"x": "$(id); a b"}).gate
    assert gate is not None
    assert gate.run == ("pytest", "$(id); a b")
