"""Templates: what they render, what they are not allowed, and what their errors say."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.pipeline.templates import MOST_OUTPUT, TemplateError, check_template, render, variables


def error_of(source: str, **values: Any) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(source, values)
    return caught.value


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain { text } $x {", "plain { text } $x {"),
        ("Hi {{ input }}!", "Hi INPUT!"),
        ("{{ nothing }}{{ nothing.at.all }}{{ nothing[0] }}{{ nothing|upper }}", ""),
        ("{{ nothing|default('d') }} {{ nothing is defined }}", "d False"),
        ("{% if nothing %}a{% else %}b{% endif %}", "b"),
        ("{% for x in nothing %}a{% else %}b{% endfor %}", "b"),
        (
            "{% for x in items if x != 'b' %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
            "1a,2c",
        ),
        ("{{ items|join(', ')|upper }} {{ ', '.join(items) }}", "A, B, C a, b, c"),
        ("{{ input.strip().split('P')[0] }} {{ input[:2] ~ input[-1:] }} {{ 'PU' in input }}", "IN INT True"),
        (
            "{{ '%s-%03d'|format('a', 7) }} {{ '%s' % input }} {{ '{:>4}|{x}'.format(1, x=2) }}",
            "a-007 INPUT    1|2",
        ),
        (
            "{{ data.k }} {{ data['k'] }} {{ data|tojson }} {{ data.items()|list }}",
            "v v {\"k\": \"v\"} [('k', 'v')]",
        ),
        ("{% macro m(x, y='d') %}<{{ x }}{{ y }}>{% endmacro %}{{ m(1) }}{{ m(2, y=3) }}", "<1d><23>"),
        ("{% set x %}a{{ input }}{% endset %}{{ x|lower }}{% set y = 1 + 2 * 3 %}{{ y }}", "ainput7"),
        (
            "{% set ns = namespace(n=0) %}{% for x in items %}{% set ns.n = ns.n + 1 %}{% endfor "
            "%}{{ ns.n }}",
            "3",
        ),
        ("{% filter upper %}a{{ items[0] }}{% endfilter %}", "AA"),
        ("{% raw %}{{ literal }}{% endraw %} {# gone #}x", "{{ literal }} x"),
        (
            "{{ items|map('upper')|select('ne', 'B')|list }} {{ items|batch(2)|list }}",
            "['A', 'C'] [['a', 'b'], ['c']]",
        ),
        (
            "{{ [3, 1, 2]|sort|sum }} {{ 7 // 2 }} {{ 2 ** 10 }} {{ 7 % 4 }} {{ 'ab' * 2 }} {{ "
            "1.26|round(1) }}",
            "6 3 1024 3 abab 1.3",
        ),
        (
            "{{ 'a b'|replace(' ', '_') }} {{ 'a'.replace('a', 'bb') }} {{ 'x'|center(3) }}|{{ "
            "'a\nb'|indent(2) }}",
            "a_b bb  x |a\n  b",
        ),
        ("{% call(x) wrap() %}{{ x }}{% endcall %}{% macro wrap() %}[{{ caller(1) }}]{% endmacro %}", None),
        ("{% macro wrap() %}[{{ caller(1) }}]{% endmacro %}{% call(x) wrap() %}{{ x }}{% endcall %}", "[1]"),
        ("{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "123"),
        ("{% block a %}in{% endblock %} {{ self.a() }}", "in in"),
        (
            "{{ range(3)|list }} {{ dict(a=1) }} {{ '<b>'|e }} {{ 'a'|trim }}",
            "[0, 1, 2] {'a': 1} &lt;b&gt; a",
        ),
        ("ends with a line\n{{ input }}\n", "ends with a line\nINPUT\n"),
    ],
)
def test_a_template_renders(source: str, text: str | None) -> None:
    values = {"input": "INPUT", "items": ["a", "b", "c"], "data": {"k": "v"}}
    if text is None:
        error_of(source, **values)
    else:
        assert render(source, values) == text


@given(st.text())
def test_a_value_is_never_looked_at_as_a_template(value: str) -> None:
    assert render("{{ input }}", {"input": value}) == value
    assert render("{% for x in [input] %}{{ x }}{% endfor %}", {"input": value}) == value


def test_nothing_is_rendered_twice() -> None:
    assert render("{{ input }}", {"input": "{{ 7 * 7 }}{% endraw %}{#"}) == "{{ 7 * 7 }}{% endraw %}{#"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plain", set()),
        ("{{ input }} {{ task.id }} {{ range(3) }} {{ dict() }}", {"input", "task"}),
        (
            "{% for x in items %}{{ x }}{{ loop.index }}{{ y }}{% endfor %}{% set z = 1 %}{{ z }}",
            {"items", "y"},
        ),
        ("{% if a is defined %}{{ b|default(c) }}{% endif %}", {"a", "b", "c"}),
        ("{% macro m(p) %}{{ p }}{{ q }}{% endmacro %}{{ m(1) }}", {"q"}),
        ("{% raw %}{{ input }}{% endraw %}{# {{ gone }} #}", set()),
        ("{{ lipsum(3) }}", {"lipsum"}),
    ],
)
def test_the_variables_are_those_taken_from_the_values(source: str, names: set[str]) -> None:
    assert variables(source) == names


@pytest.mark.parametrize(
    ("source", "line", "message", "cure"),
    [
        ("a\nb {{ input", 2, "unexpected end of template", "close it with }}"),
        ("{% if x", 1, "unexpected end of template", "close it with %}"),
        ("a\n{% endif %}", 2, "Encountered unknown tag 'endif'", ""),
        ("{# a", 1, "Missing end of comment tag", "close it with #}"),
        ("{{ x|nosuch }}", 1, "No filter named 'nosuch'", "but for random"),
        ("{{ x|random }}", 1, "No filter named 'random'", "but for random"),
        ("{% if x is nosuch %}{% endif %}", 1, "No test named 'nosuch'", ""),
        ("\n\n{% include 'x' %}", 3, "a template cannot read other files", ""),
        ("{% import 'x' as y %}", 1, "a template cannot read other files", ""),
        ("{% from 'x' import y %}", 1, "a template cannot read other files", ""),
        ("{% extends 'x' %}", 1, "a template cannot read other files", ""),
        ("{{ a b }}", 1, "expected token 'end of print statement', got 'b'", ""),
    ],
)
def test_a_template_that_cannot_be_read_says_why_and_where(
    source: str, line: int, message: str, cure: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        check_template(source)
    assert message in caught.value.message
    assert cure in caught.value.cure
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ nothing() }}", "'nothing' is undefined"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "can only concatenate str"),
        ("{{ input.encode() }}", "access to attribute 'encode' of 'str' object is unsafe"),
        ("{{ (1).to_bytes(9) }}", "access to attribute 'to_bytes' of 'int' object is unsafe"),
        ("{{ items.append(1) }}", "access to attribute 'append' of 'list' object is unsafe"),
        ("{{ data.update(k=1) }}", "access to attribute 'update' of 'dict' object is unsafe"),
        ("{{ dict.mro() }}", "unsafe"),
        ("{{ range(1000000) }}", "range() is too long"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "it calls itself without end"),
    ],
)
def test_a_template_that_cannot_be_rendered_says_why(source: str, message: str) -> None:
    error = error_of(source, input="x", items=[1], data={})
    assert error.message.startswith("the template cannot be rendered: ")
    assert message in error.message


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ input.__class__ }}",
        "{{ self.__dict__ }}{{ self._TemplateReference__context }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ joiner.__init__.__globals__ }}{{ namespace.__init__.__globals__ }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(input) }}",
        "{{ '{x.__class__}'.format_map({'x': input}) }}",
        "{{ input|attr('__class__') }}",
        "{{ ['__class__']|map('attr', '__class__')|list }}",
        "{{ (input|attr)('__class__') }}",
        "{% set x = input.__class__ %}{{ x.__base__ }}",
        "{{ loop.__class__ }}{% for x in [1] %}{{ loop._iterable }}{{ loop.__class__ }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m._func }}{{ m.__globals__ }}",
        "{{ dict.__base__ }}{{ range.__class__ }}",
    ],
)
def test_no_template_gets_at_the_inside_of_a_value(source: str) -> None:
    try:
        text = render(source, {"input": "x"})
    except TemplateError as error:
        text = error.message
    assert not any(word in text for word in ("<class", "<function", "module", "uid="))


def test_what_is_printed_is_bounded() -> None:
    assert len(render("{{ input }}", {"input": "x" * MOST_OUTPUT})) == MOST_OUTPUT
    assert "longer than 10,000,000 characters" in error_of("{{ input }}!", input="x" * MOST_OUTPUT).message


def test_one_template_can_be_rendered_by_many_threads_at_once() -> None:
    source = "{% for i in range(1000) %}{{ name }}{% endfor %}"
    found: dict[str, str] = {}

    def work(name: str) -> None:
        found[name] = render(source, {"name": name})

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {str(number): str(number) * 1000 for number in range(8)}


def test_every_rendering_has_fuel_of_its_own() -> None:
    source = "{% for i in range(20000) %}{% endfor %}x"
    assert [render(source, {}) for _ in range(60)] == ["x"] * 60


@given(st.text(alphabet="{}%#-+ax.|~()[]'\"\n 12_", max_size=60))
def test_any_text_is_a_template_or_an_error_of_ours(source: str) -> None:
    assert message_of(source) != ""


PIECES = (
    "{{",
    "}}",
    "{%",
    "%}",
    " if ",
    " for x in ",
    " set a=",
    "endif",
    "endfor",
    "x",
    "a",
    "1",
    "'s'",
    "|",
    "upper",
)
MORE = (
    "join",
    "(",
    ")",
    "[",
    "]",
    ".",
    "~",
    "*",
    "+",
    "**",
    "%",
    " in ",
    " is ",
    "loop",
    "range",
    "{#",
    "#}",
    " else ",
)


@given(st.lists(st.sampled_from((*PIECES, *MORE)), max_size=25).map("".join))
def test_any_scraps_are_a_template_or_an_error_of_ours(source: str) -> None:
    assert message_of(source) != ""


def message_of(source: str) -> str | None:
    try:
        render(source, {"x": "X", "a": [1, "b"]})
    except TemplateError as error:
        return error.message
    return None
