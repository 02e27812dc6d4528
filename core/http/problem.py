"""Decides what a refused or failed request is answered: a problem document (RFC 9457) with a stable id, no stack trace.

Does not decide which errors exist (`core/errors.py`) and does not log.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from core.errors import AftercallError

CONTENT_TYPE = "application/problem+json"


class Fault(BaseModel):
    """One part of the input that cannot be used: where it stands and what is wrong with it."""

    at: str
    message: str


class Problem(BaseModel):
    """The answer to a request that was refused or failed. `id` is stable, clients may rely on it; texts are not."""

    type: str
    id: str
    title: str
    status: int
    detail: str = ""
    request_id: str = ""
    errors: list[Fault] = []


class InvalidInput(AftercallError):
    """Parts of the request do not fit the operation's models; `faults` names each."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("http:invalid", "The request does not fit what this operation takes.", status=422)
        self.faults = faults


def invalid(where: str, error: ValidationError) -> InvalidInput:
    """What pydantic found, without echoing the input back (it may be a password)."""
    faults = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False)[:20]:
        at = ".".join([where, *(str(part) for part in fault["loc"])])
        message = "this name is not known here" if fault["type"] == "extra_forbidden" else fault["msg"]
        faults.append(Fault(at=at[:200], message=message[:200]))
    return InvalidInput(faults)


def problem_of(error: AftercallError, request_id: str = "") -> Problem:
    """The document for an error of ours."""
    return Problem(
        type=f"urn:aftercall:{error.error_id}",
        id=error.error_id,
        title=error.message,
        status=error.status,
        detail=error.hint,
        request_id=request_id,
        errors=error.faults if isinstance(error, InvalidInput) else [],
    )


def problem_schema() -> dict[str, Any]:
    """The JSON schema of a problem document, for OpenAPI."""
    return Problem.model_json_schema(ref_template="#/components/schemas/{model}")
