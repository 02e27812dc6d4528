"""The helpers a world brings along when none are configured: Redis and the sample shop; and when they are ready.

Does not decide what is asked of them. Both are on loopback, with a secret that stands in no argument list, and keep
nothing that matters: Redis carries, the database owns.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.roles import ALL, in_order, process_name
from app.world.children import ChildSpec
from app.world.plan import WorldPlan, write_private

CODE = Path(__file__).resolve().parents[2]
"""The folder our packages lie in: children import the same ones."""


def redis_spec(plan: WorldPlan, command: Sequence[str], environment: Mapping[str, str]) -> ChildSpec:
    """Writes Redis's configuration (it holds the password) and says how it is started."""
    file = plan.folders.run / "redis.conf"
    write_private(
        file,
        f"bind 127.0.0.1\nport {plan.redis.port}\nprotected-mode yes\nrequirepass {plan.redis.password}\n"
        f'save ""\nappendonly no\nmaxmemory 64mb\nmaxmemory-policy noeviction\ndaemonize no\n'
        f"dir {json.dumps(str(plan.folders.run))}\ndatabases 1\ntcp-keepalive 60\nloglevel warning\n",
    )
    return ChildSpec("redis", [*command, str(file)], plan.folders.log / "redis.log", environment, plan.folders.run)


def shop_spec(plan: WorldPlan, orders: int, seed: int) -> ChildSpec:
    command = [
        *(sys.executable, "-m", "app.shop", "--port", str(plan.shop.port), "--orders", str(orders)),
        *("--seed", str(seed), "--state", str(plan.folders.shop / "state.json")),
    ]
    environment = {"AFTERCALL_SHOP_TOKEN": plan.shop.token}
    return ChildSpec("shop", command, plan.folders.log / "shop.log", environment, CODE)


def controller_spec(plan: WorldPlan, slot: int, roles: frozenset[str] = ALL) -> ChildSpec:
    """One of the two controllers. SIGINT ends it at once (the world ends); SIGTERM lets it hand over and drain."""
    command = [sys.executable, "-m", "app.server", "--home", str(plan.home), "--slot", str(slot)]
    if roles != ALL:
        command += ["--roles", ",".join(in_order(roles))]
    name = f"{process_name(roles)}-{slot}"
    log = plan.folders.log / f"{name}.log"
    return ChildSpec(name, command, log, {}, CODE, stop_s=5.0, stop_signal=signal.SIGINT)


async def redis_ready(plan: WorldPlan) -> None:
    """Returns when Redis answers to its password. To be used with a time limit."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", plan.redis.port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        try:
            writer.write(b"AUTH " + plan.redis.password.encode() + b"\r\nPING\r\n")
            said = await reader.readline(), await reader.readline()
            if said == (b"+OK\r\n", b"+PONG\r\n"):
                return
        except OSError:
            pass
        finally:
            writer.close()
        await asyncio.sleep(0.05)


async def shop_samples(plan: WorldPlan) -> list[dict[str, Any]]:
    """The shop's orders of each kind, as soon as it answers. To be used with a time limit."""
    while True:
        try:
            return await asyncio.to_thread(_samples, plan)
        except (OSError, http.client.HTTPException, ValueError):
            await asyncio.sleep(0.05)


def _samples(plan: WorldPlan) -> list[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", plan.shop.port, timeout=3)
    try:
        connection.request("GET", "/sample/kinds", headers={"Authorization": f"Bearer {plan.shop.token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError(f"the sample shop answers {answer.status}")
        kinds: list[dict[str, Any]] = json.loads(body)
        return kinds
    finally:
        connection.close()
