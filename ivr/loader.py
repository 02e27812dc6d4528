"""A flow's text becomes a checked, immutable flow, or a list of everything that is wrong with it.

Decides what a flow may look like; how nodes behave is theirs. All faults are told at once, each with file and line; a flow
with a single fault does not exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.errors import AftercallError
from core.prompts.catalogue import LANGUAGES, NAME
from core.yaml_text.words import did_you_mean
from ivr.doubt import doubts
from ivr.flow.model import Flow, Place
from ivr.inspect import dead_ends, inspect
from ivr.link import link
from ivr.nodes.form import Build, ExitSpec, Known, NodeType, Reader
from ivr.nodes.registry import NODE_TYPES
from ivr.tree import Issue, Listing, Refused, Scalar, Table, Tree, read_tree

_TOP = ("name", "start", "person", "languages", "nodes")
_COMMON = ("type", "exits", "next", "repeat", "note")
MOST_NODES = 400
ADD_NODE = "add it, or write another"
KEYS = frozenset("0123456789*#")


class FlowRefused(AftercallError):
    """`issues` names every fault, in the order of the file."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("ivr:flow", "; ".join(str(issue) for issue in issues), status=422)
        self.issues = issues


def version_of(text: str | bytes) -> str:
    """The flow's version: the first 12 hex digits of the SHA-256 of its text."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:12]


def load(text: str | bytes, source: str, known: Known | None = None) -> Flow:
    """The flow of `text`. `source` is what issues call the file. Raises FlowRefused."""
    flow, issues = read_flow(text, source, known or Known())
    errors = [issue for issue in issues if issue.severity == "error"]
    if flow is None or errors:
        raise FlowRefused(errors)
    return flow


def read_flow(text: str | bytes, source: str, known: Known) -> tuple[Flow | None, list[Issue]]:
    """The flow, as far as it could be read, and what is wrong with it."""
    try:
        top, doubled = read_tree(text)
    except Refused as refused:
        return None, [Issue(source, refused.line, refused.message)]
    loading = _Loading(source, known)
    loading.issues += [Issue(source, line, message) for line, message in doubled]
    flow = loading.flow(top, version_of(text))
    if flow is not None and not loading.broken:
        flow, unlinked = link(flow, source, known.flow)
        loading.issues += [*unlinked, *inspect(flow, source)]
        if not loading.issues:
            loading.issues += [*dead_ends(flow, source), *doubts(flow, source)]
    return flow, sorted(loading.issues, key=lambda issue: (issue.line, issue.field))


class _Loading:
    def __init__(self, source: str, known: Known) -> None:
        self.source = source
        self.known = known
        self.issues: list[Issue] = []
        self.broken = False  # exits cannot be trusted, so the graph is not looked at
        self.node = ""
        self.person = ""

    def tell(self, line: int, message: str, field: str = "") -> None:
        self.issues.append(Issue(self.source, line, message, self.node, field))

    def flow(self, top: Table, version: str) -> Flow | None:
        self._unknown(top, _TOP, "a flow")
        languages = self._languages(top.rows.get("languages"))
        nodes = top.rows.get("nodes")
        if not isinstance(nodes, Table) or not nodes.rows:
            self.tell(nodes.line if nodes else top.line, "a flow needs a table of nodes", "nodes")
            return None
        if len(nodes.rows) > MOST_NODES:
            self.tell(nodes.line, f"a flow has at most {MOST_NODES} nodes", "nodes")
            return None
        name = self._name(top, "name")
        start, self.person = self._target(top, "start", nodes), self._target(top, "person", nodes)
        person = self.person
        places = self._places(nodes, languages)
        if person in places and places[person].kind not in ("handoff", "voicemail"):
            self.tell(
                top.lines["person"],
                "this must be a handoff or a voicemail node: callers go there when nothing else helps",
                "person",
            )
        return Flow(name, version, start, person, languages, MappingProxyType(places))

    def _languages(self, tree: Tree | None) -> tuple[str, ...]:
        if tree is None:
            return LANGUAGES
        texts = (
            [item.text if isinstance(item, Scalar) else "?" for item in tree.items] if isinstance(tree, Listing) else []
        )
        bad = [text for text in texts if text not in LANGUAGES]
        if not texts or bad or len(set(texts)) != len(texts):
            self.tell(
                tree.line, f"a list out of {', '.join(LANGUAGES)} is wanted, the first one is spoken first", "languages"
            )
            return LANGUAGES
        return tuple(texts)

    def _name(self, top: Table, key: str) -> str:
        tree = top.rows.get(key)
        text = tree.text if isinstance(tree, Scalar) else ""
        if tree is None or not NAME.fullmatch(text):
            self.tell(tree.line if tree else top.line, f"a flow needs a {key} (a–z, 0–9 and hyphens)", key)
        return text

    def _target(self, top: Table, key: str, nodes: Table) -> str:
        name = self._name(top, key)
        if name not in nodes.rows:
            self.broken = True
            if NAME.fullmatch(name):
                self.tell(
                    top.lines[key],
                    f"there is no node '{name}'; {did_you_mean(name, nodes.rows, 'add it, or write another')}",
                    key,
                )
        return name

    def _unknown(self, table: Table, keys: tuple[str, ...], what: str) -> None:
        for key, line in table.lines.items():
            if key not in keys:
                self.tell(line, f"'{key[:60]}' is not a key of {what}; {did_you_mean(key, keys)}")

    def _places(self, nodes: Table, languages: tuple[str, ...]) -> dict[str, Place]:
        places: dict[str, Place] = {}
        for name, tree in nodes.rows.items():
            self.node = name[:60]
            line = nodes.lines[name]
            if not NAME.fullmatch(name):
                self.broken = True
                self.tell(line, "a node's name has a–z, 0–9 and hyphens, at most 64")
            place = self._place(tree, line, nodes, languages)
            if place is None:
                self.broken = True
            else:
                places[name] = place
        self.node = ""
        return places

    def _place(self, tree: Tree, line: int, nodes: Table, languages: tuple[str, ...]) -> Place | None:
        if not isinstance(tree, Table):
            self.tell(line, "a node is a table with a type")
            return None
        kind = tree.rows.get("type")
        node_type = NODE_TYPES.get(kind.text) if isinstance(kind, Scalar) else None
        if node_type is None:
            shown = kind.text[:40] if isinstance(kind, Scalar) else ""
            self.tell(
                kind.line if kind else line,
                f"'{shown}' is not a type of node; {did_you_mean(shown, NODE_TYPES)}",
                "type",
            )
            return None
        self._unknown(tree, (*_COMMON, *(field.name for field in node_type.fields)), f"a {node_type.name} node")
        values = self._values(node_type, tree, line, languages)
        exits = self._exits(node_type, tree, line, nodes, values)
        if node_type.key_exits and values.get("zero") == "person" and self.person:
            exits.setdefault("0", self.person)  # 0 for a person works everywhere unless it is switched off on purpose
        values["keys"] = [name for name in exits if name in KEYS]
        values["exits_given"] = frozenset(exits)
        repeat = tree.rows.get("repeat")
        if repeat is not None and (not isinstance(repeat, Scalar) or repeat.text not in ("never", "allowed")):
            self.tell(repeat.line, "write never or allowed", "repeat")
        never = isinstance(repeat, Scalar) and repeat.text == "never"
        node = node_type.build(values, Build(languages))
        return Place(node, node_type.name, MappingProxyType(exits), never, node_type.personal(values), line)

    def _values(self, node_type: NodeType, tree: Table, line: int, languages: tuple[str, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in node_type.fields:

            def tell(at: int, message: str, name: str = field.name) -> None:
                self.tell(at, message, name)

            given = tree.rows.get(field.name)
            if given is not None:
                value = Reader(self.known, languages, tell).read(field, given)
            else:
                value = field.default
                if field.required:
                    self.tell(line, f"a {node_type.name} node needs '{field.name}'", field.name)
            empty: dict[str, Any] = {"spoken": (), "expressions": {}, "word": "nothing", "language": languages[0]}
            values[field.name] = empty.get(field.kind, "") if value is None else value
        return values

    def _exits(
        self, node_type: NodeType, tree: Table, line: int, nodes: Table, values: Mapping[str, Any]
    ) -> dict[str, str]:
        given = tree.rows.get("exits")
        table = given if isinstance(given, Table) else Table(line)
        if given is not None and not isinstance(given, Table):
            self.tell(given.line, "a table of exit names and nodes is wanted", "exits")
        rows = dict(table.rows)
        if "next" in tree.rows:
            if "next" in rows:
                self.tell(tree.lines["next"], "the exit 'next' is given twice", "next")
            rows["next"] = tree.rows["next"]
        specs = self._specs(node_type, values)
        exits: dict[str, str] = {}
        for name, target in rows.items():
            at = table.lines.get(name, target.line)
            if name not in specs and not (node_type.key_exits and name in KEYS) and not node_type.any_exits:
                keys = "the keys 0–9, * and #, " if node_type.key_exits else ""
                near = did_you_mean(name, specs, f"there are {keys}{', '.join(specs) or 'none'}")
                self.tell(
                    at,
                    f"'{name[:40]}' is not an exit of a {node_type.name} node; {near}",
                    "exits",
                )
            elif not isinstance(target, Scalar) or target.text not in nodes.rows:
                self.broken = True
                shown = target.text[:60] if isinstance(target, Scalar) else "a list or table"
                near = did_you_mean(shown, nodes.rows, ADD_NODE)
                self.tell(
                    target.line, f"the exit '{name}' leads to '{shown}', and there is no such node; {near}", "exits"
                )
            else:
                exits[name] = target.text
        for spec in specs.values():
            if spec.required and spec.name not in rows:
                self.tell(line, f"the exit '{spec.name}' leads nowhere", "exits")
        if node_type.key_exits and not any(name in KEYS for name in exits):
            self.tell(line, "a menu needs at least one key", "exits")
        return exits

    @staticmethod
    def _specs(node_type: NodeType, values: Mapping[str, Any]) -> dict[str, ExitSpec]:
        specs = {spec.name: spec for spec in node_type.exits}
        if node_type.case_field:
            specs |= {name: ExitSpec(name, required=True) for name in values.get(node_type.case_field) or {}}
        return specs
