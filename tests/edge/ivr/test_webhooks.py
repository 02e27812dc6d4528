"""A menu asks a program of the operator's: by name, once, within its deadline, whatever that program answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from app.hooks import AllowedHooks, HookError
from core.events.ivr import FlowEnded
from core.settings import WebhookSettings
from ivr.ports import QueueStanding
from ivr.runner import Runner
from tests.unit.ivr.build import DID, FOUND, Desk, Queues, runner
from tests.unit.ivr.line import VirtualLine

FLOW = """\
name: sample
start: ask
person: person
nodes:
  ask:
    type: webhook
    hook: points
    send: {number: caller.number}
    filler: [one-moment]
    filler_after_s: 0.1
    deadline_s: 0.5
    exits: {ok: busy, slow: slow, error: broken}
  busy: {type: queue_status, queue: service, busy_waiting: 3, exits: {free: tell, busy: tell, empty: tell, unknown: broken}}
  tell: {type: say, say: [{number: points}, {number: queue_waiting}], next: person}
  slow: {type: hangup, say: [thank-you]}
  broken: {type: hangup, say: [goodbye]}
  person: {type: handoff, queue: service}
"""


class Counts:
    async def standing(self, queue: str) -> QueueStanding | None:
        return QueueStanding(4, None, 2)


@asynccontextmanager
async def program(answer: Any) -> AsyncIterator[tuple[str, list[tuple[str, Any]]]]:
    asked: list[tuple[str, Any]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append((request.headers.get("Authorization", ""), await request.json()))
        return await answer()  # type: ignore[no-any-return]

    app = web.Application()
    app.router.add_post("/", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/")), asked


async def says(**more: Any) -> web.Response:
    return web.json_response(**more)


async def heard(url: str, *, queues: Any = None) -> tuple[list[str], str]:
    made, events, catalogue = runner(text=FLOW)
    hooks = AllowedHooks({"points": WebhookSettings(url=url, token=SecretStr("s3cret-token-of-ours"))})
    asking = Runner(catalogue, Desk(FOUND), Queues(), events, made._clock, webhooks=hooks, queues=queues or Counts())
    line = VirtualLine()
    await asking.run(line, did=DID, ani="13800138000", interaction_id="n1-1.1")
    return line.heard, events.of(FlowEnded)[0].node


async def test_what_it_answers_can_be_said_and_it_is_asked_once_with_its_token() -> None:
    async with program(lambda: says(data={"points": 12})) as (url, asked):
        names, node = await heard(url)
    assert node == "person" and names == ["number-12", "number-4"]
    assert asked == [("Bearer s3cret-token-of-ours", {"number": "13800138000"})]


async def test_a_slow_one_is_bridged_by_a_word_and_given_up() -> None:
    never = asyncio.Event()

    async def slow() -> web.Response:
        async with asyncio.timeout(2):
            await never.wait()
        return web.Response()

    async with program(slow) as (url, asked):
        names, node = await heard(url)
        never.set()
    assert node == "slow" and names == ["one-moment", "thank-you"] and len(asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"points": 1}, "status": 500},
        {"data": [1, 2]},
        {"text": "<html>", "content_type": "text/html"},
        {"text": "[" * 50_000},
        {"text": '{"a": "' + "x" * 70_000 + '"}'},
        {"data": {}, "status": 302, "headers": {"Location": "http://127.0.0.1:9/"}},
    ],
    ids=["500", "a list", "HTML", "deep", "big", "elsewhere"],
)
async def test_what_cannot_be_used_leaves_by_error(answer: dict[str, Any]) -> None:
    async with program(lambda: says(**answer)) as (url, asked):
        names, node = await heard(url)
    assert node == "broken" and names == ["goodbye"] and len(asked) == 1


async def test_one_that_is_not_there_leaves_by_error_and_so_does_a_queue_nobody_counts() -> None:
    assert (await heard("http://127.0.0.1:9/"))[1] == "broken"

    class Broken:
        async def standing(self, queue: str) -> QueueStanding | None:
            raise RuntimeError("down")

    async with program(lambda: says(data={"points": 12})) as (url, _):
        assert (await heard(url, queues=Broken()))[1] == "broken"


async def test_only_what_the_operator_allows_is_asked() -> None:
    with pytest.raises(HookError, match="No webhook 'points' is allowed"):
        await AllowedHooks({}).call("points", {}, 1.0)
