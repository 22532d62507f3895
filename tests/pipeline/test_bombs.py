"""Small definitions that would take for ever or fill the memory: each is refused at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from aqm.errors import PipelineError
from aqm.pipeline.resolve import load
from aqm.pipeline.templates import TemplateError, render
from tests.memory import own_peak
from tests.pipeline.documents import MAIN, faults_of, load_text, reader

SECONDS = 3.0
MEGABYTES = 512


def nested(opening: str, closing: str, times: int) -> str:
    return opening * times + closing * times


DOUBLED = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 25))
NINES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
MERGED = "a0: &a0 {k0: x}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: x}}\n" for n in range(1, 25)
)
AGENT = "{id: a, runtime: claude}"

YAML_BOMBS = {
    "5,000 brackets": nested("[", "]", 5_000),
    "250,000 brackets": "[" * 250_000,
    "braces": nested("{a: ", "}", 5_000),
    "dashes": "- " * 100_000,
    "question marks": "? " * 100_000,
    "indentation": "".join(" " * n + f"k{n}:\n" for n in range(500)),
    "1.4 MB of flat flow": "[" + "a," * 700_000 + "]",
    "256 KB of flat flow": "[" + "a," * 131_000 + "]",
    "256 KB of flat mapping": "{" + ",".join(f"k{n}: 1" for n in range(20_000)) + "}",
    "256 KB of lines": "".join(f"k{n}:\n" for n in range(29_000)),
    "billion laughs": NINES,
    "doubled aliases": DOUBLED,
    "doubled merges": MERGED,
    "many aliases": "a: &a x\nb: [" + "*a, " * 60_000 + "]",
    "a long text repeated": f"a: &a {'x' * 200_000}\nb: [{'*a, ' * 50}]\n",
    "itself": "a: &a [*a, *a]",
    "itself merged": "a: &a\n  <<: *a\n  b: *a\n",
    "many anchors": "".join(f"- &a{n} x\n" for n in range(20_000)),
    "many tags": "- !a x\n" * 30_000,
    "many directives": "".join(f"%TAG !t{n}! tag:x\n" for n in range(15_000)) + "---\na: 1\n",
    "many documents": "--- a\n" * 40_000,
    "a long number": "a: " + "9" * 250_000,
    "a long fraction": "a: 0." + "9" * 250_000,
    "a long exponent": "a: 1e" + "9" * 250_000,
    "a long key": "k" * 250_000 + ": 1",
    "an open quote": 'a: "' + "x" * 250_000,
    "a quote of escapes": 'a: "' + "\\x41" * 62_000 + '"',
    "a folded text": "a: >\n" + " x\n" * 80_000,
    "blanks": " " * 260_000,
    "tabs": "\t" * 260_000,
    "comments": "#\n" * 130_000,
    "a tag of a million": "!" + "x" * 200_000 + " a",
    "python": "!!python/object/apply:os.system [id]",
}

DEFINITION_BOMBS = {
    "references": f"params: {{x: {'y' * 1_000}}}\nagents: [{AGENT[:-1]}, name: "
    f"'{'${{ params.x }}' * 9_000}'}}]",
    "a circle of parents": "agents:\n"
    + "".join(f"- {{id: a{n}, extends: a{(n + 1) % 3_000}}}\n" for n in range(3_000)),
    "a chain of handoffs": "agents:\n"
    + "".join(f"- {{id: a{n}, runtime: claude, handoffs: [{{to: a{n + 1}}}]}}\n" for n in range(2_000))
    + "- {id: a2000, runtime: claude, handoffs: [{to: ghost}]}\n",
    "everybody to everybody": "agents:\n"
    + "".join(
        f"- {{id: a{n}, runtime: claude, handoffs: [{{to: '*', condition: auto}}]}}\n" for n in range(700)
    )
    + "- {id: b, runtime: ghost}\n",
    "many faults": "agents:\n" + "- {x: 1}\n" * 6_000,
    "many names nearly right": "agents:\n"
    + "".join(f"- {{id: agent_{n}, runtime: claude, handoffs: [{{to: agemt_{n}}}]}}\n" for n in range(1_500)),
    "many keys nearly right": "agents:\n- {id: a, runtime: claude}\n"
    + "".join(f"- {{id: b{n}, runtimex: claude, modle: x, handofs: []}}\n" for n in range(3_000)),
    "one agent of keys nearly right": f"agents: [{AGENT[:-1]}, "
    f"{', '.join(f'runtime{n}: x' for n in range(9_000))}}}]",
    "many parents nearly right": "agents:\n"
    + "".join(f"- {{id: agent{n}, extends: agemt{n}, runtime: claude}}\n" for n in range(3_000)),
    "many references nearly right": "params: {" + ", ".join(f"name{n}: 1" for n in range(500)) + "}\n"
    "agents: [{id: a, runtime: claude, cli_flags: ["
    + ", ".join(f"'${{{{ params.nmae{n} }}}}'" for n in range(4_000))
    + "]}]",
    "a long key": f"agents: [{AGENT[:-1]}, {'k' * 100_000}: 1}}]",
    "a long name": f"agents: [{AGENT[:-1]}, handoffs: [{{to: {'k' * 100_000}}}]}}]",
    "a long text taken over": "agents:\n"
    f"- {{id: base, abstract: true, runtime: claude, system_prompt: {'x' * 90_000}}}\n"
    + "".join(f"- {{id: a{n}, extends: base}}\n" for n in range(4_000)),
    "a long param taken over": f"params: {{x: {'y' * 90_000}}}\nagents:\n"
    "- {id: base, abstract: true, runtime: claude, system_prompt: 'a ${{ params.x }}'}\n"
    + "".join(f"- {{id: a{n}, extends: base}}\n" for n in range(4_000)),
    "a deep output": f"agents: [{AGENT[:-1]}, output: {{a: {nested('{items: ', '}', 16)}}}}}]",
    "a wide output": f"agents: [{AGENT[:-1]}, output: "
    f"{{{', '.join(f'k{n}: {{type: strin}}' for n in range(4_000))}}}}}]",
    "an output that refers to itself": f"agents: [{AGENT[:-1]}, output: {{type: object, properties: "
    "{a: {$ref: '#/$defs/a'}}, $defs: {a: {$ref: '#/$defs/a'}, b: 1}}}]",
    "a pattern": f"agents: [{AGENT[:-1]}, output: {{a: {{pattern: "
    f"'(((a{{1,999}}){{1,999}}){{1,999}})'}}}}}}]",
    "a condition of brackets": f"agents: [{AGENT[:-1]}, handoffs: [{{to: a, condition: '{'(' * 999}'}}]}}]",
    "a condition of words": f"agents: [{AGENT[:-1]}, handoffs: [{{to: a, condition: 'k in "
    f"[{'a, ' * 50_000}'}}]}}]",
    "braces before references": f'params: {{x: "\'"}}\nagents: [{AGENT[:-1]}, '
    f"system_prompt: '{'{' * 100_000}{{% raw %}}${{{{ params.x }}}}'}}]",
}


@pytest.mark.parametrize("name", [*YAML_BOMBS, *DEFINITION_BOMBS])
def test_a_definition_bomb_is_refused_at_once(name: str) -> None:
    text = {**YAML_BOMBS, **DEFINITION_BOMBS}[name]
    begun = time.process_time()
    faults = faults_of(text)
    assert time.process_time() - begun < SECONDS
    assert faults
    assert all(len(fault.message) < 1_000 for fault in faults)


def test_a_long_chain_of_parents_is_no_bomb() -> None:
    levels = "".join(f"- {{id: a{n}, extends: a{n + 1}, runtime: claude}}\n" for n in range(4_000))
    begun = time.process_time()
    pipeline = load_text(f"agents:\n{levels}- {{id: a4000, runtime: claude}}\n").pipeline
    assert time.process_time() - begun < SECONDS
    assert len(pipeline.agents) == 4_001


TEMPLATE_BOMBS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in data %}{% for b in data %}{% for c in data %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in input %}{% for b in input %}{% endfor %}{% endfor %}",
    "{% set ns = namespace(l=0) %}{% for i in data %}{% set ns.l = (ns.l, input.split('a')) %}{% endfor %}",
    "{{ lipsum(200000) }}",
    "{{ 'a' * 2000000000 }}",
    "{{ 2000000000 * 'a' }}",
    "{{ [0] * 2000000000 }}",
    "{{ (1, 2) * 2000000000 }}",
    "{{ '%2000000000d' % 1 }}",
    "{{ '%*d' % (2000000000, 1) }}",
    "{{ '%.2000000000f' % 1 }}",
    "{{ '%2000000000d'|format(1) }}",
    "{{ '{:2000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 2000000000) }}",
    "{{ '{x:2000000000}'.format_map({'x': 1}) }}",
    "{{ 'a'|center(2000000000) }}",
    "{{ 'a'.center(2000000000) }}",
    "{{ 'a'.ljust(2000000000) }}",
    "{{ 'a'.rjust(2000000000) }}",
    "{{ 'a'.zfill(2000000000) }}",
    "{{ ('\\t' * 1000000).expandtabs(1000000) }}",
    "{{ 9 ** 999999999 }}",
    "{{ (9 ** 9) ** (9 ** 9) }}",
    "{% set ns = namespace(x=2) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor "
    "%}{{ ns.s }}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor "
    "%}{{ ns.s|tojson }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% for x in [[[]]] recursive %}{{ loop([x, x]) }}{% endfor %}",
    "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
    "{% for i in range(99999) %}{{ input }}{% endfor %}",
    "{% set x %}{% for i in range(99999) %}{{ input }}{% endfor %}{% endset %}",
    "{% set x %}{% for i in range(99999) %}" + "y" * 100_000 + "{% endfor %}{% endset %}",
    "{% macro m() %}{{ input }}{% endmacro %}{% for i in range(99999) %}{% set x = m() %}{% endfor %}",
    "{% filter upper %}{% for i in range(99999) %}{{ input }}{% endfor %}{% endfilter %}",
    "{{ input|replace('a', input) }}",
    "{{ input.replace('', input) }}",
    "{{ input.join(input) }}",
    "{{ input|list|join(input) }}",
    "{{ input|wordwrap(1, wrapstring=input) }}",
    "{{ input|indent(2000000000) }}",
    "{{ ('\\n' * 100000)|indent(100000) }}",
    "{{ [1]|batch(2000000000, 'x')|list }}",
    "{{ [1]|slice(2000000000)|list }}",
    "{{ 1.5|round(2000000000, 'floor') }}",
    "{{ data|tojson(indent=2000000000) }}",
    "{{ (1).to_bytes(2000000000, 'big') }}",
    "{{ ([input] * 1000)|string }}",
    "{{ ([input] * 1000)|join }}",
    "{{ ([input] * 1000)|tojson }}",
    "{{ [input] * 1000 }}",
    "{{ range(100000)|map('center', 100000)|list }}",
    "{{ range(100000)|map('center', 100000)|join }}",
    "{{ range(100000)" + "|map('string')|map('upper')" * 40 + "|list|length }}",
    "{{ {}.fromkeys(range(100000), input)|tojson }}",
    "{{ 'a'.translate({97: input}) }}",
    "{% for i in range(99999) %}{% set x = input[1:] %}{% endfor %}",
    "{% for i in range(99999) %}{% if 'zz' in input %}{% endif %}{% endfor %}",
    "{% for i in range(99999) %}{% if input == input ~ 'a' %}{% endif %}{% endfor %}",
    "{% for i in range(99999) %}{% if input.count('zz') %}{% endif %}{% endfor %}",
    "{% for i in range(99999) %}{% if input is upper %}{% endif %}{% endfor %}",
    "{% for a in range(99999) %}{% for x in data|dictsort %}{% endfor %}{% endfor %}",
    "{{ " + nested("(", ")", 5_000).replace("()", "(1)") + " }}",
    "{{ " + "[" * 50_000 + " }}",
    "{{ " + "a + " * 50_000 + "a }}",
    "{{ " + "a ~ " * 50_000 + "a }}",
    "{{ " + "-" * 50_000 + "1 }}",
    "{{ " + "not " * 50_000 + "1 }}",
    "{{ a" + ".b" * 50_000 + " }}",
    "{{ a" + "|upper" * 30_000 + " }}",
    "{% if a %}" * 10_000,
    "{% if a %}" * 500 + "{% endif %}" * 500,
    "{% for a in b %}" * 30 + "{% endfor %}" * 30,
    "{{ a }}" * 35_000,
    "{% raw %}" * 20_000,
    "{#" * 100_000,
    "{{ '" + "\\" * 100_000,
]


@pytest.mark.parametrize("source", TEMPLATE_BOMBS, ids=lambda source: source[:60])
def test_a_template_bomb_is_refused_at_once(source: str) -> None:
    values: dict[str, Any] = {"input": "a" * 1_000_000, "data": {f"k{n}": n for n in range(1_000)}}
    begun = time.process_time()
    with pytest.raises(TemplateError) as caught:
        render(source, values)
    assert time.process_time() - begun < SECONDS
    assert len(caught.value.message) < 1_000


def test_there_are_bombs_enough() -> None:
    assert len(YAML_BOMBS) + len(DEFINITION_BOMBS) >= 30
    assert len(TEMPLATE_BOMBS) >= 30


def test_all_bombs_together_stay_within_the_memory() -> None:
    """In a process of its own, so that its peak is the bombs'."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.pipeline.test_bombs import main; main()"],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    peak = json.loads(done.stdout)
    assert peak["bombs"] == len(YAML_BOMBS) + len(DEFINITION_BOMBS) + len(TEMPLATE_BOMBS)
    assert peak["megabytes"] < MEGABYTES


def main() -> None:
    bombs = 0
    for text in (*YAML_BOMBS.values(), *DEFINITION_BOMBS.values()):
        try:
            load(MAIN, reader({MAIN: text}))
        except PipelineError:
            bombs += 1
    for source in TEMPLATE_BOMBS:
        try:
            render(source, {"input": "a" * 1_000_000, "data": {f"k{n}": n for n in range(1_000)}})
        except TemplateError:
            bombs += 1
    print(json.dumps({"bombs": bombs, "megabytes": own_peak()}))
