"""`${{ params.x }}` in a document: the value takes its place, and never becomes source of anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Node, Plain, Scalar, Sequence
from aqm.document.validation import MOST_FAULTS
from aqm.errors import Fault, did_you_mean
from aqm.pipeline.templates import is_template, template_tokens

__all__ = ["MOST_INSERTED", "REFERENCE", "Insertion", "as_text"]

REFERENCE = re.compile(r"\$\{\{\s*params\.([A-Za-z_][\w-]*)\s*\}\}")

# a brace before a value could begin a block together with it
_AFTER_BRACES = re.compile(r"(\{?)" + REFERENCE.pattern)
_NUMBER_OR_BOOLEAN = re.compile(r"-?[0-9]+(\.[0-9]+)?|true|false")  # means the same in text and in a block
_PLAIN_WORDS = re.compile(r"[\w .,:/@+-]*")
_SHELL_WORD = re.compile(r"[\w./:@+,][\w./:@+,-]*")
MOST_INSERTED = 1_000_000

_ITEM = "[]"  # a step into a list
_TEMPLATES = (("system_prompt",), ("handoffs", _ITEM, "payload"), ("gate", "prompt"))
_CONDITIONS = (("handoffs", _ITEM, "condition"),)
_SHELL_LINES = (("gate", "run"), ("verify",))


def as_text(value: Plain) -> str:
    """How a value reads where it becomes part of a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@dataclass(slots=True)
class Insertion:
    """Puts the values in force in one file into its scalars; what is wrong is collected."""

    values: Mapping[str, Plain]
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    inserted: int = 0  # characters so far

    def into(self, node: Node, path: tuple[str, ...] = ()) -> Node:
        """`node` with its references replaced; `path` leads to it from the agent."""
        match node:
            case Scalar():
                return self._scalar(node, path)
            case Sequence(items=items):
                return replace(node, items=tuple(self.into(item, (*path, _ITEM)) for item in items))
            case MappingNode(entries=entries):
                new = {key: self.into(value, (*path, key)) for key, value in entries.items()}
                return replace(node, entries=new)
            case never:
                assert_never(never)

    def _scalar(self, node: Scalar, path: tuple[str, ...]) -> Scalar:
        source = node.value
        if not isinstance(source, str) or "${{" not in source or len(self.faults) >= MOST_FAULTS:
            return node
        names = REFERENCE.findall(source)
        unknown = [name for name in names if name not in self.values]
        for name in dict.fromkeys(unknown):
            cure = did_you_mean(name, self.values) or "declare it under params:"
            self.faults.append(node.place.fault(f"there is no param called {name!r}", cure))
        if unknown or not names:
            return node
        texts = {name: as_text(self.values[name]) for name in names}
        self.inserted += sum(len(texts[name]) for name in names)
        if self.inserted > MOST_INSERTED:
            said = f"the params would put more than {MOST_INSERTED:,} characters into the file"
            self.faults.append(node.place.fault(said, "make them shorter, or name them less often"))
            return node
        if REFERENCE.fullmatch(source.strip()):
            return self._lone(node, path, names[0], texts)
        text = self._text(node, path, source, texts)
        return replace(node, value=text, text=text)

    def _lone(self, node: Scalar, path: tuple[str, ...], name: str, texts: dict[str, str]) -> Scalar:
        """A reference that stands alone keeps the type of its value."""
        value = self.values[name]
        if isinstance(value, str):
            value = self._text(node, path, f"${{{{ params.{name} }}}}", texts)
        return replace(node, value=value, text=texts[name], inserted=True)

    def _text(self, node: Scalar, path: tuple[str, ...], source: str, texts: Mapping[str, str]) -> str:
        if path in _TEMPLATES:
            return self._template(node, source, texts)
        if path in _CONDITIONS or path in _SHELL_LINES:
            self._refuse_unless_words(node, path, texts)
        return REFERENCE.sub(lambda match: texts[match[1]], source)

    def _refuse_unless_words(self, node: Scalar, path: tuple[str, ...], texts: Mapping[str, str]) -> None:
        in_shell = path in _SHELL_LINES
        for name, text in texts.items():
            if not (_SHELL_WORD if in_shell else _PLAIN_WORDS).fullmatch(text):
                where = "a command line" if in_shell else "a condition"
                cure = (
                    "write the command as a list" if in_shell else "use plain words, or compare with params"
                )
                self.faults.append(
                    node.place.fault(f"the value of {name!r} is no plain word for {where}", cure)
                )

    def _template(self, node: Scalar, source: str, texts: Mapping[str, str]) -> str:
        for name, text in texts.items():
            if is_template(text):
                message = (
                    f"the value of {name!r} is inserted as text; what it holds in {{{{ }}}} is not rendered"
                )
                cure = "write that part in the template itself"
                self.warnings.append(node.place.fault(message, cure, severity="warning"))
        if all(_NUMBER_OR_BOOLEAN.fullmatch(text) for text in texts.values()):
            return REFERENCE.sub(lambda match: texts[match[1]], source)
        if not is_template(REFERENCE.sub("\0", source)):
            return _AFTER_BRACES.sub(lambda match: _for_data(match[1] + texts[match[2]]), source)
        try:
            return "".join(_inserted(list(template_tokens(source)), texts))
        except ValueError:
            name = next(iter(texts))
            cure = f"inside {{{{ … }}}} and {{% … %}} write params.{name}, without ${{{{ }}}}"
            self.faults.append(node.place.fault("a ${{ }} stands where the template cannot take it", cure))
            return source


def _inserted(tokens: list[tuple[str, str]], texts: Mapping[str, str]) -> Iterator[str]:
    """The tokens of a template with values in place of references, each in the way its context reads."""
    index, raw = 0, False
    while index < len(tokens):
        kind, text = tokens[index]
        raw = (raw or kind == "raw_begin") and kind != "raw_end"
        found = _whole_reference(tokens, index) if kind == "data" and text.endswith("$") else None
        if found is not None:
            name, index = found
            before = text[:-1].rstrip("{")
            yield before + _for_data(text[len(before) : -1] + texts[name])
            continue
        if kind == "string":
            text = REFERENCE.sub(lambda match: _for_string(texts[match[1]]), text)
        elif kind == "data" and raw:
            text = _AFTER_BRACES.sub(lambda match: _for_raw(match[1] + texts[match[2]]), text)
        yield text
        index += 1


def _whole_reference(tokens: list[tuple[str, str]], index: int) -> tuple[str, int] | None:
    """The param and the index after it, when `$` at `index` is followed by `{{ params.x }}`."""
    text = "$"
    for after in range(index + 1, len(tokens)):
        kind, token = tokens[after]
        text += token
        if kind == "variable_end":
            found = REFERENCE.fullmatch(text)
            return (found[1], after + 1) if found else None
    return None


def _for_data(text: str) -> str:
    return text.replace("{", "{{ '{' }}")


def _for_raw(text: str) -> str:
    return text.replace("{", "{% endraw %}{{ '{' }}{% raw %}")


def _for_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("'", "\\'")
