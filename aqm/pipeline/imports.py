"""The files of a pipeline: the document itself and what it imports, each with its own params."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Node, Place, Plain, Scalar, Sequence
from aqm.document.parser import parse
from aqm.document.validation import MOST_FAULTS, place_of, validate
from aqm.errors import Fault, PipelineError, did_you_mean
from aqm.pipeline.params import Declared, Values, in_force, read_params
from aqm.pipeline.references import Insertion
from aqm.pipeline.spec import Document, Import

__all__ = ["MOST_FILES", "File", "Files", "Written"]

MOST_FILES = 50

Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Written:
    """An agent as one file has it, with the file's params in place."""

    id: str  # "" when it has none that could be referred to
    node: Node
    file: str

    @property
    def is_abstract(self) -> bool:
        return isinstance(self.node, MappingNode) and _value(self.node, "abstract") is True


@dataclass(slots=True)
class File:
    path: str
    header: Document | None = None
    params: dict[str, Declared] = field(default_factory=dict)
    values: dict[str, Plain] = field(default_factory=dict)
    agents: list[Written] = field(default_factory=list)
    imported: list[Written] = field(default_factory=list)
    named: set[str] = field(default_factory=set)  # the ids that its imports name

    @property
    def visible(self) -> dict[str, Written]:
        """The agents that this file can extend, and that it offers to those who import it."""
        return {agent.id: agent for agent in (*self.imported, *self.agents) if agent.id}


@dataclass(slots=True)
class Files:
    """Reads each file once; what is wrong is collected, and a broken file offers what is left of it."""

    read: Read
    given: Values
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    known: dict[str, File] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    outer: Mapping[str, Plain] = field(default_factory=dict)  # the values of the pipeline's own file
    complete: bool = True  # False: a file could not be read, so that unknown names prove nothing

    def open(self, path: str) -> File:
        """The pipeline's own file, with all that it imports."""
        file = File(path)
        text = self._text(path, Place(path), "check the name")
        return file if text is None else self._fill(file, text, ())

    def _text(self, path: str, place: Place, cure: str) -> str | None:
        try:
            text = self.read(path)
        except FileNotFoundError:
            self.faults.append(place.fault(f"there is no file {path}", cure))
        except IsADirectoryError:
            self.faults.append(place.fault(f"{path} is a folder", "name a file, such as  team.yaml"))
        except PermissionError:
            self.faults.append(
                place.fault(f"{path} may not be read", "check its permissions; links are refused")
            )
        except UnicodeError:
            self.faults.append(place.fault(f"{path} is not UTF-8 text", "save it as UTF-8"))
        except (OSError, ValueError):
            self.faults.append(place.fault(f"{path} cannot be read"))
        else:
            self.texts[path] = text
            return text
        self.complete = False
        return None

    def _fill(self, file: File, text: str, importers: tuple[str, ...]) -> File:
        self.known[file.path] = file
        try:
            root = parse(text, file.path)
        except PipelineError as error:
            self.faults += error.faults
            self.complete = False
            return file
        agents = self._sections(file, root, importers)
        self._agents(file, agents, root, is_main=not importers)
        return file

    def _sections(self, file: File, root: Node, importers: tuple[str, ...]) -> Node | None:
        """All but the agents, whose node is returned."""
        if isinstance(root, Sequence) and importers:
            return root  # a bare list of agents
        if not isinstance(root, MappingNode):
            what = "a list" if isinstance(root, Sequence) else "text"
            cure = "begin with a line  agents:  and indent the agents below it"
            self.faults.append(root.place.fault(f"the document must be a mapping, not {what}", cure))
            return None
        file.params, faults = read_params(root.get("params"))
        self.faults += faults
        self.complete = self.complete and not faults
        file.values, faults = in_force(file.params, self.given)
        self.faults += faults
        if not importers:
            self.outer = file.values
        top = self._inserted(file, root.without(["params", "imports", "agents"]))
        sections = ("params", "imports", "agents")
        written = {key: each for key, each in root.entries.items() if key in sections}
        file.header, faults = validate(
            Document, MappingNode({**top.entries, **written}, root.place, root.keys)
        )
        self.faults += faults
        self._imports(file, root, (*importers, file.path))
        return root.get("agents")

    def _inserted(self, file: File, node: MappingNode) -> MappingNode:
        insertion = self._insertion(file)
        found = insertion.into(node)
        self._collect(insertion)
        assert isinstance(found, MappingNode)
        return found

    def _insertion(self, file: File) -> Insertion:
        return Insertion({**self.outer, **file.values})  # a file's own params come first

    def _collect(self, insertion: Insertion) -> None:
        self.faults += insertion.faults
        self.warnings += insertion.warnings

    # Agents ------------------------------------------------------------------------------------

    def _agents(self, file: File, node: Node | None, root: Node, *, is_main: bool) -> None:
        if node is None:
            only_imports = isinstance(root, MappingNode) and root.get("imports") is not None
            if isinstance(root, MappingNode) and (is_main or not only_imports):
                place = root.keys.get("agents", root.place.inside("agents"))
                cure = "write  agents:  and at least one below it"
                self.faults.append(place.fault("agents is missing", cure))
            return
        if not isinstance(node, Sequence):
            self.faults.append(node.place.fault("agents must be a list", "write each agent after a -"))
            return
        if not node.items:
            self.faults.append(node.place.fault("agents is empty", "write at least one agent"))
        insertion = self._insertion(file)
        for item in node.items:
            new = insertion.into(item)
            name = _value(new, "id") if isinstance(new, MappingNode) else None
            file.agents.append(Written(name if isinstance(name, str) else "", new, file.path))
        self._collect(insertion)
        self._refuse_doubles(file.agents)

    def _refuse_doubles(self, agents: list[Written]) -> None:
        first: dict[str, Written] = {}
        for agent in agents:
            if agent.id and agent.id in first:
                place = place_of(agent.node, "id")
                line = place_of(first[agent.id].node, "id").line
                said = f"the id {agent.id!r} is used twice (first in line {line})"
                self.faults.append(place.fault(said, "give each agent an id of its own"))
            first.setdefault(agent.id, agent)

    # Imports -----------------------------------------------------------------------------------

    def _imports(self, file: File, root: MappingNode, importers: tuple[str, ...]) -> None:
        node = root.get("imports")
        if node is None:
            return
        if not isinstance(node, Sequence):
            self.faults.append(
                node.place.fault("imports must be a list", "write  imports: [{from: file.yaml}]")
            )
            return
        for item in node.items:
            entry, faults = validate(Import, item)
            self.faults += faults
            if entry is not None:
                self._import(file, entry, item, importers)

    def _import(self, file: File, entry: Import, node: Node, importers: tuple[str, ...]) -> None:
        place = place_of(node, "from")
        path = self._path(entry.path, file.path, place)
        if path is None:
            return
        if path in importers:
            round_ = " imports ".join((*importers[importers.index(path) :], path))
            self.faults.append(
                place.fault(f"the imports go round in a circle: {round_}", "remove one of them")
            )
            return
        other = self._other(path, place, importers)
        if other is None:
            return
        offered = other.visible
        file.named.update(entry.agents)
        for number, name in enumerate(entry.agents[:MOST_FAULTS]):
            if name not in offered and (other.agents or other.imported):
                said = f"{path} has no agent called {name!r}"
                self.faults.append(place_of(node, "agents", number).fault(said, did_you_mean(name, offered)))
        file.imported += [
            agent for name, agent in offered.items() if not entry.agents or name in entry.agents
        ]

    def _path(self, written: str, importer: str, place: Place) -> str | None:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(importer), written))
        if not written.strip() or posixpath.isabs(written) or path.split("/")[0] == "..":
            said = f"an import must stay inside the project, and {written!r} does not"
            self.faults.append(place.fault(said, "name a file of the project, relative to this one"))
            return None
        return path

    def _other(self, path: str, place: Place, importers: tuple[str, ...]) -> File | None:
        if path in self.known:
            return self.known[path]
        if len(self.known) >= MOST_FILES:
            self.faults.append(
                place.fault(f"the pipeline is made of more than {MOST_FILES} files", "join some")
            )
            return None
        text = self._text(path, place, "check the name; it is relative to this file")
        return None if text is None else self._fill(File(path), text, importers)


def _value(node: MappingNode, key: str) -> object:
    each = node.entries.get(key)
    return each.value if isinstance(each, Scalar) else None
