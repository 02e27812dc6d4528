"""The document says what is served."""

from __future__ import annotations

from typing import Any

import pytest

from core.http import openapi
from core.http.paging import PageQuery
from core.http.routes import FileAnswer, Nothing, Page, Request, Role, Route, Strict


class Pet(Strict):
    name: str
    legs: int = 4


async def _handler(request: Request) -> Any:
    return Nothing()


ROUTES = [
    Route("GET", "/api/pets", _handler, "All pets", Page[Pet], query=PageQuery, tag="pets"),
    Route("POST", "/api/pets/{id}", _handler, "Name", Pet, body=Pet, roles=frozenset({Role.SUPERVISOR}), errors=(409,)),
    Route("GET", "/api/pets/{id}/sound", _handler, "What it says", FileAnswer),
    Route("POST", "/api/pets/{id}/forget", _handler, "Forget it", Nothing, status=204, public=True),
]  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    return openapi.document(ROUTES, title="Pets", version="1")


def test_each_operation_has_its_own_id(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert sorted(ids) == ["get_pets", "get_pets_id_sound", "post_pets_id", "post_pets_id_forget"]


def test_query_parameters_carry_their_bounds(document: dict[str, Any]) -> None:
    limit = next(p for p in document["paths"]["/api/pets"]["get"]["parameters"] if p["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"], limit["required"]) == (1, 200, False)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                assert part["$ref"].removeprefix("#/components/schemas/") in schemas
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(document)


def test_problems_and_login_are_named(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/pets/{id}"]["post"]
    assert {"200", "400", "401", "403", "404", "409", "413", "415", "422", "503"} <= set(operation["responses"])
    assert operation["security"] == [{"token": []}, {"session": []}]
    assert "supervisor" in operation["description"]
    assert document["paths"]["/api/pets/{id}/forget"]["post"]["security"] == []


def test_an_operation_without_a_body_asks_for_none(document: dict[str, Any]) -> None:
    forget = document["paths"]["/api/pets/{id}/forget"]["post"]
    assert "requestBody" not in forget
    assert "content" not in forget["responses"]["204"]
