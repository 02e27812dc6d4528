"""What the web says of the roles that live elsewhere: who has them, since when, and when nobody does."""

from __future__ import annotations

from app.health import role_check
from tests.unit.roles.wires import Process, Wire, running, until


async def test_a_role_that_is_heard_of_is_told_by_name_and_age_and_one_that_falls_silent_is_missed() -> None:
    wire = Wire()
    web, acd = Process(wire.connect, "web", "w1", list), Process(wire.connect, "acd", "a1", list)
    check = role_check(web.links, "acd")
    assert (await check()).state == "down"
    async with running(web, acd):
        await until(lambda: web.links.owner("acd") is not None)
        found = await check()
        assert found.state == "ok"
        assert found.words.startswith("acd-1 serves, alive since 20")
        acd.links.outlet.put = lambda _key, _message: None  # type: ignore[method-assign]
        await until(lambda: web.links.owner("acd") is None, within_s=6)
        assert (await check()).words == "Nothing is heard of it."


async def test_who_only_stands_by_serves_nobody() -> None:
    wire = Wire()
    web, acd = Process(wire.connect, "web", "w1", list), Process(wire.connect, "acd", "a1", list)
    acd.links.state = {"acd": "standby"}
    async with running(web, acd):
        await until(lambda: web.links.peers)
        found = await role_check(web.links, "acd")()
        assert (found.state, "stands by" in found.words) == ("down", True)
