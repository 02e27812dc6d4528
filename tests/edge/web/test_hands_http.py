"""Skills, teams and calls that go on, over HTTP: who may see and change them, and one clear answer to each refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.db.outbox import write_events
from core.events import pbx, routing, to_record
from orders_bridge.model import mask_phone
from pbx.store import InteractionProjector
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
