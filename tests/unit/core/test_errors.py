"""Errors have ids that clients may rely on: these stand in the API, so a changed line here is a broken client."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from core.errors import AftercallError, BadInput, NotFound, Refused, Unavailable

ROOT = Path(__file__).parents[3]
ROOMS = ("core", "pbx", "orders_bridge", "ivr", "routing", "recordings", "desk", "app")
FORM = re.compile(r"[a-z]+:[a-z0-9]+(-[a-z0-9]+)*")


@pytest.mark.parametrize(
    ("error", "error_id", "status", "said"),
    [
        (NotFound("call", "n1-1.2"), "core:call-not-found", 404, "There is no call 'n1-1.2'."),
        (NotFound("quarantined job", "j"), "core:quarantined-job-not-found", 404, "There is no quarantined job 'j'."),
        (Refused("You may not."), "core:refused", 403, "You may not."),
        (Refused("You may not.", error_id="http:csrf"), "http:csrf", 403, "You may not."),
        (Unavailable("database"), "core:database-unavailable", 503,
         "The database is not available now. Try again in a moment."),
        (BadInput("users:login", "No.", hint="Do this."), "users:login", 422, "No. Do this."),
        (AftercallError("core:x", "What."), "core:x", 400, "What."),
    ],
)  # fmt: skip
def test_an_error_tells_a_stable_id_a_status_and_a_sentence(
    error: AftercallError, error_id: str, status: int, said: str
) -> None:
    assert (error.error_id, error.status, str(error)) == (error_id, status, said)
    assert FORM.fullmatch(error.error_id)


def ids_written() -> dict[str, str]:
    """Every literal error id in the product: id → where."""
    found = {}
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if not re.search(r"AftercallError|BadInput|Refused|error_id", text):
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call):
                    words = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "error_id")]
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    errs = name in ("AftercallError", "BadInput", "__init__") or any(
                        k.arg == "error_id" for k in node.keywords
                    )
                    for word in words if errs else []:
                        if isinstance(word, ast.Constant) and isinstance(word.value, str) and ":" in word.value[:24]:
                            found[word.value] = f"{file.relative_to(ROOT)}:{node.lineno}"
    return found


def test_every_error_id_in_the_house_has_the_form_room_colon_words() -> None:
    found = ids_written()
    assert len(found) > 30
    assert {"http:csrf", "users:taken", "core:settings", "ivr:flow"} <= found.keys()
    assert {error_id: where for error_id, where in found.items() if not FORM.fullmatch(error_id)} == {}
