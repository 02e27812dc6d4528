"""Lists: how many, and from where on. One form for every list of the product.

Does not read rows. Invariant: a cursor made by `cursor` is read by `read_cursor` as the same parts; any other text is
refused with one error and never reaches a query.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from core.errors import BadInput
from core.http.routes import Strict

MAX_LIMIT = 200


class PageQuery(Strict):
    """`?limit=&after=`: at most `limit` items that follow the cursor `after`."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    after: Annotated[str, Field(max_length=300)] = ""


def cursor(*parts: str | int) -> str:
    """An opaque text for the place in a list, safe in URLs."""
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(text: str, *kinds: type) -> tuple[str | int, ...]:
    """The parts of a cursor, of these kinds. Raises BadInput when it was not made by us."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadInput("http:bad-cursor", "This is not a place in the list.") from error
    good = isinstance(parts, list) and len(parts) == len(kinds)
    if not good or any(type(part) is not kind for part, kind in zip(parts, kinds, strict=True)):
        raise BadInput("http:bad-cursor", "This is not a place in the list.")
    if any(isinstance(part, str) and "\x00" in part for part in parts):
        raise BadInput("http:bad-cursor", "This is not a place in the list.")
    return tuple(parts)


def read_place(text: str) -> tuple[datetime, str]:
    """The cursor of a list in order of time: a moment (in UTC) and a key. Raises BadInput as `read_cursor` does."""
    at, key = read_cursor(text, str, str)
    try:
        moment = datetime.fromisoformat(str(at)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("http:bad-cursor", "This is not a place in the list.") from error
    return moment, str(key)
