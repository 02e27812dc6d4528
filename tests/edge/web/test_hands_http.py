"""Skills, teams and calls that go on, over HTTP: who may see and change them, and one clear answer to each refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from core.db.outbox import write_events
from core.events import pbx, routing, to_record
from orders_bridge.model import mask_phone
from pbx.store import InteractionProjector
from routing.quarters.keeper import Keeper
from tests.edge.web.house import House, real_house


async def ask(house: House, method: str, path: str, who: str, body: Any = None) -> tuple[int, Any]:
    async with house.client.request(method, f"/api/{path}", headers=house.token(who), json=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_supervisors_change_skills_and_teams_and_agents_see_their_own(tmp_path: Path) -> None:
    async with real_house(tmp_path) as house:
        status, view = await ask(house, "PUT", "agents/101/skills", "boss", {"skills": {"service": 4, "zh": 2}})
        assert (status, view) == (200, {"extension": "101", "skills": {"service": 4, "zh": 2}, "revision": 1})
        assert house.acd.book.agents["101"].skills == {"service": 4, "zh": 2}, "in force at once"
        status, view = await ask(house, "PUT", "agents/101/teams", "boss", {"teams": ["vip"], "revision": 1})
        assert (status, view["teams"]) == (200, ["vip"])
        assert await ask(house, "GET", "agents/101/skills", "agent") == (
            200, {"extension": "101", "skills": {"service": 4, "zh": 2}, "revision": 2}
        )  # fmt: skip
        _, listed = await ask(house, "GET", "skills", "boss")
        assert {one["name"]: (one["agents"], one["queues"]) for one in listed["items"]}["service"] == (
            {"101": 4}, ["service"]
        )  # fmt: skip
        _, listed = await ask(house, "GET", "teams", "boss")
        assert listed["items"] == [{"name": "vip", "agents": ["101"], "queues": [], "declared": False}]
        _, agents = await ask(house, "GET", "agents", "boss")
        assert [agent["teams"] for agent in agents["items"]] == [["vip"], []]


async def test_a_call_that_goes_on_tells_how_it_is_handled_now_and_hides_whom_it_must(tmp_path: Path) -> None:
    async with real_house(tmp_path) as house:
        ix, now = "n1-7.1", house.acd.book.clock.now()
        talk = {"interaction_id": ix, "at": now, "extension": "101"}
        told = [
            pbx.CallArrived(interaction_id=ix, at=now, ani="+8613812345678", dnis="800", channel="c"),
            pbx.CallConnected(leg_id="l", offer_id="o", **talk),
            routing.CallHandled(doing="conference", target_kind="number", target="+8613800001234", **talk),
        ]
        async with house.database.write() as conn:
            await write_events(conn, "j", [(seq, to_record(event)) for seq, event in enumerate(told, 1)])
            await InteractionProjector().project(conn, told)
        for event in told:
            house.hub.handle(event)
        for who, number in (("agent", "+8613800001234"), ("other", mask_phone("+8613800001234"))):
            _, story = await ask(house, "GET", f"calls/{ix}", who)
            handled = story["now"]
            assert (handled["state"], handled["agent"], handled["doing"]) == ("talking", "101", "conference")
            assert handled["target"] == number
            assert [m["data"].get("target") for m in story["timeline"]] == [
                None,
                None,
                number if who == "agent" else None,
            ]
        _, over = await ask(house, "GET", "calls/n1-1.1", "agent")
        assert over["now"] is None


async def test_each_refusal_has_its_id_and_changes_nothing(tmp_path: Path) -> None:
    asked = [
        ("agent", "PUT", "agents/101/skills", {"skills": {"service": 5}}, 403, "http:role-needed"),
        ("agent", "GET", "agents/102/teams", None, 403, "routing:not-yours"),
        ("agent", "GET", "skills", None, 403, "http:role-needed"),
        ("boss", "PUT", "agents/999/teams", {"teams": ["vip"]}, 404, "core:agent-not-found"),
        ("boss", "PUT", "agents/101/teams", {"teams": ["vip"], "revision": 7}, 409, "routing:ability-changed"),
        ("boss", "PUT", "agents/101/teams", {"teams": ["two words"]}, 422, "routing:team-name"),
        ("boss", "PUT", "agents/101/skills", {"skills": {"service": 6}}, 422, "http:invalid"),
    ]
    async with real_house(tmp_path) as house:
        before = await house.rows()
        for who, method, path, body, status, error_id in asked:
            said = await ask(house, method, path, who, body)
            assert (said[0], said[1]["id"]) == (status, error_id), (who, path)
        assert await house.rows() == before


async def test_quarters_of_an_hour_are_listed_by_the_clock_that_is_asked_for(tmp_path: Path) -> None:
    came = datetime(2026, 11, 24, 1, 5, tzinfo=UTC)
    async with real_house(tmp_path) as house:
        queued = [
            routing.ItemQueued(interaction_id=f"n1-{n}.1", at=came + timedelta(minutes=10 * n), queue=queue, channel="c",
                               enqueued_at=came + timedelta(minutes=10 * n))
            for n, queue in enumerate(("service", "express", "service"))
        ]  # fmt: skip
        async with house.database.write() as conn:
            await write_events(conn, "j2", [(seq, to_record(event)) for seq, event in enumerate(queued, 1)])
        await Keeper(house.database, house.acd.book.clock, ZoneInfo("Asia/Shanghai")).count()
        span = "from=2026-11-24T09:00&to=2026-11-24T09:45"  # of the house's own clock
        _, page = await ask(house, "GET", f"intervals?{span}&limit=2", "boss")
        assert [(row["local"], row["queue"], row["offered"]) for row in page["items"]] == [
            ("2026-11-24T09:00+08:00", "service", 1), ("2026-11-24T09:15+08:00", "express", 1)
        ]  # fmt: skip
        _, page = await ask(house, "GET", f"intervals?{span}&limit=2&after={page['next']}", "boss")
        assert ([row["since"] for row in page["items"]], page["next"]) == (["2026-11-24T01:15:00Z"], None)
        _, page = await ask(
            house, "GET", "intervals?from=2026-11-24T02:00&to=2026-11-24T03:00&zone=Europe/Berlin&queue=service", "boss"
        )
        assert [row["local"] for row in page["items"]] == ["2026-11-24T02:00+01:00", "2026-11-24T02:15+01:00"]
        for query, who, status in (
            (f"{span}&zone=Nowhere/Else", "boss", 422), ("from=2026-11-24&to=2026-11-23", "boss", 422),
            ("from=2026-01-01&to=2026-11-23", "boss", 422), ("queue=service", "boss", 422), (span, "agent", 403),
        ):  # fmt: skip
            assert (await ask(house, "GET", f"intervals?{query}", who))[0] == status, query
        assert (await ask(house, "GET", f"intervals/agents?{span}", "boss"))[1]["items"] == []
