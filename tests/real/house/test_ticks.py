"""What other processes are told over Redis stands in the database when they are told."""

import asyncio
import json
import sqlite3

import redis.asyncio as redis

from app.world.outside import OutsideWorld


async def test_a_tick_names_a_place_in_the_event_table_that_can_be_read_already(quiet_world: OutsideWorld) -> None:
    plan = json.loads((quiet_world.home / "run" / "plan.json").read_text())
    database = sqlite3.connect(f"file:{quiet_world.home}/db/aftercall.sqlite?mode=ro", uri=True)
    client = redis.Redis.from_url(f"redis://:{plan['redis']['password']}@127.0.0.1:{plan['redis']['port']}")
    async with client, client.pubsub(ignore_subscribe_messages=True) as ticks, asyncio.timeout(15):
        await ticks.subscribe("aftercall:live")
        await ticks.get_message(timeout=1)
        await quiet_world.post("agents/101/state", {"state": "READY"})
        while True:
            message = await ticks.get_message(timeout=5)
            assert message is not None, "nobody told it"
            tick = json.loads(message["data"])
            row = database.execute("SELECT kind FROM event WHERE position = ?", (tick["position"],)).fetchone()
            assert row == (tick["kind"],)
            if tick["kind"] == "AgentStateChanged":
                break
    database.close()
