"""YAML written by people, read so that it cannot hurt and every value knows its place."""

from core.yaml_text.tree import (
    MAX_BYTES,
    Doubled,
    Listing,
    Refused,
    Scalar,
    Table,
    Tree,
    read_tree,
)

__all__ = ["MAX_BYTES", "Doubled", "Listing", "Refused", "Scalar", "Table", "Tree", "read_tree"]
