"""A policy's text becomes rules, or a list of everything that is wrong with it; and rules become a text again.

Decides nothing about routing. Invariants: all problems are told at once, each with its place and a suggestion; a text with a
single problem yields no rules; `load(to_text(d)) == d`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from core.yaml_text import Listing, Refused, Scalar, Table, read_tree
from routing.policy.document import Document, Known, PolicyRefused, Problem
from routing.policy.form import TOP
from routing.policy.inspect import inspect
from routing.policy.model import Policy
from routing.policy.read import MOST_PROBLEMS, Enough, Reading, Spot, spot
from routing.policy.write import written

STANDARD = "standard"  # the class that is there without being named
SHAPE = "a table of queues, classes and surge"


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def load(text: str | bytes, source: str = "policy", known: Known | None = None) -> Document:
    """The document of `text`. `source` is what problems call the text. Raises PolicyRefused."""
    document, problems = read_policy(text, source, known)
    if document is None or problems:
        raise PolicyRefused(problems)
    return document


def to_text(document: Document | Policy) -> str:
    """The text that says this and nothing else; what stands at its default is left out."""
    return written(document if isinstance(document, Document) else Document(document))


def read_policy(text: str | bytes, source: str, known: Known | None = None) -> tuple[Document | None, list[Problem]]:
    """What could be read, and what is wrong with it, in the order of the text."""
    try:
        top, doubled = read_tree(text, "a policy", SHAPE)
    except Refused as refused:
        return None, [Problem(source, refused.line, refused.column, "", refused.message)]
    known = known or Known()
    reading = Reading(source, known, _declared(top))
    document: Document | None = None
    enough = False
    try:
        for one in doubled:
            hint = f"the first one is in line {one.first_line}; keep one of them"
            reading.tell(Spot(one.line, one.column), one.path, f"the key '{one.key[:60]}' stands twice", hint)
        document = _document(top, reading)
        inspect(document, top, reading)
    except Enough:
        document, enough = None, True
    problems = sorted(reading.problems, key=lambda one: (one.line, one.column, one.path))
    if enough:
        problems.append(Problem(source, 0, 0, "", f"more than {MOST_PROBLEMS} problems; mend these first"))
    return document, problems


def _document(top: Table, reading: Reading) -> Document:
    _names_first(top, reading)
    found = reading.rows(TOP, top, "", "a policy")
    if "queues" not in top.rows:
        reading.tell(spot(top), "", "a policy needs 'queues'", "write a table of queues by name")
    skills, teams = found.pop("skills", frozenset()), found.pop("teams", frozenset())
    surge = found.pop("surge", {})
    return Document(replace(Policy(), **found), surge, skills, teams)


def _names_first(top: Table, reading: Reading) -> None:
    """Queues and classes may be named before they stand in the text."""
    queues, classes = top.rows.get("queues"), top.rows.get("classes")
    reading.names["queue"] = frozenset(queues.rows) if isinstance(queues, Table) else frozenset()
    reading.names["class"] = (frozenset(classes.rows) if isinstance(classes, Table) else frozenset()) | {STANDARD}


def _declared(top: Table) -> dict[str, frozenset[str]]:
    declared: dict[str, frozenset[str]] = {}
    for key, of in (("skills", "skill"), ("teams", "team")):
        listing = top.rows.get(key)
        if isinstance(listing, Listing):
            declared[of] = frozenset(item.text for item in listing.items if isinstance(item, Scalar))
    return declared
