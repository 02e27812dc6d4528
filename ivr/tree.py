"""A flow's text as a tree (`core/yaml_text`), and what is told of a fault in it."""

from __future__ import annotations

from dataclasses import dataclass

from core.yaml_text import MAX_BYTES, Listing, Refused, Scalar, Table, Tree
from core.yaml_text import read_tree as read_yaml

__all__ = ["MAX_BYTES", "Issue", "Listing", "Refused", "Scalar", "Table", "Tree", "read_tree"]


@dataclass(frozen=True, slots=True)
class Issue:
    """Something to mend: one clear sentence with its place. `line` counts from 1; 0 = the file as a whole. `severity`: error
    (the flow is refused) or warning (it is not, and somebody should look)."""

    source: str
    line: int
    message: str
    node: str = ""
    field: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        what = f"node '{self.node}': " if self.node else ""
        warned = "" if self.severity == "error" else f"{self.severity}: "
        return f"{where}: {warned}{what}{self.field + ': ' if self.field else ''}{self.message}"


def read_tree(text: str | bytes) -> tuple[Table, list[tuple[int, str]]]:
    """The top table, and (line, sentence) for every key that stands twice. Raises Refused."""
    top, doubled = read_yaml(text, "a flow", "a table of name, start, person and nodes")
    return top, [(one.line, one.message) for one in doubled]
