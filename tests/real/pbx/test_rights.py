"""Our AMI account may do what we need and nothing else: each of its classes is needed, and no other one is there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from app.world import switch
from core.errors import AftercallError
from pbx import ami, ami_actions, resync
from pbx.ami import ActionRefused, AmiAddress, AmiLink
from pbx.ami_events import AmiEvent, ChannelSeen, DeviceChanged, Told
from pbx.control import Control
from tests.real.pbx.room import Room

pytestmark = pytest.mark.asyncio(loop_scope="package")
FORBIDDEN = YAML(typ="safe", pure=True).load(Path(__file__).parent / "corpus" / "ami_forbidden.yaml")
SECRETS = ("PJSIP_AUTH(trunk,password)", "AST_SORCERY(res_pjsip,auth,trunk,password)", "AST_CONFIG(pjsip.conf,trunk,password)",
           "FILE(/etc/passwd,0,20)", "ENV(PATH)", "DB(registrar/contact)",
           "REALTIME(x,y)", "ODBC_X(y)", "STAT(s,/etc/passwd)", "SYSINFO(loadavg)")  # fmt: skip


@asynccontextmanager
async def with_classes(room: Room, read: str, write: str) -> AsyncIterator[None]:
    """Asterisk with other rights for our account, for a moment."""
    file = room.plan.folders.asterisk_etc / "manager.conf"
    before = file.read_text(encoding="utf-8")
    head, ours, rest = before.partition(f"[{room.plan.ami.controller.user}]")
    changed = re.sub(r"^read = .*$", f"read = {read}", re.sub(r"^write = .*$", f"write = {write}", rest, count=1, flags=re.M),
                     count=1, flags=re.M)  # fmt: skip
    try:
        file.write_text(head + ours + changed, encoding="utf-8")
        await switch.ask(room.plan, "manager reload")
        yield
    finally:
        file.write_text(before, encoding="utf-8")
        await switch.ask(room.plan, "manager reload")


def classes(room: Room) -> tuple[list[str], list[str]]:
    text = (room.plan.folders.asterisk_etc / "manager.conf").read_text(encoding="utf-8")
    ours = text.partition(f"[{room.plan.ami.controller.user}]")[2].partition("\n[")[0]
    found = [re.search(rf"^{kind} = (.*)$", ours, re.M) for kind in ("read", "write")]
    return tuple([name.strip() for name in it.group(1).split(",")] for it in found if it is not None)  # type: ignore[return-value]


async def works(room: Room, patience_s: float) -> set[str]:
    """What we need, tried for real; the names of what did not work. `patience_s`: for an event to come."""
    failed: set[str] = set()
    events: list[AmiEvent] = []
    came = asyncio.Event()

    async def on_up() -> None:
        came.set()

    plan = room.plan.ami
    address = AmiAddress(plan.host, plan.port, plan.controller.user, plan.controller.password)
    link = AmiLink(lambda: address, on_event=events.append, on_up=on_up, on_down=lambda _reason: None)
    control = Control(link)

    async def tried(name: str, action: object) -> None:
        try:
            await action  # type: ignore[misc]
        except (ActionRefused, AftercallError, TimeoutError):
            failed.add(name)

    async def hears(name: str, fits: Callable[[AmiEvent], bool]) -> None:
        try:
            async with asyncio.timeout(patience_s):
                while not any(map(fits, events)):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            failed.add(name)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.run())
        try:
            async with asyncio.timeout(max(1.0, patience_s)):
                await came.wait()
        except TimeoutError:
            task.cancel()
            return {"log in"}
        await tried("beat", control.set_global("AC_QUIET", "0"))  # nobody of ours beats in this test
        await control.set_global("AC_QUIET_1", "0")
        call = await room.caller.call(room.plan.dids.queue, from_user="13700000000")
        await call.until("talking")
        await hears("hear of a call", lambda event: isinstance(event, ChannelSeen))
        await hears("hear of a waiting caller", lambda event: isinstance(event, Told))
        await hears("hear of a phone", lambda event: isinstance(event, DeviceChanged))
        channels: list[str] = []
        await tried("list channels", link.ask_list(*ami_actions.list_channels(resync.TICKET), take=lambda blocks: channels.extend(
            str(block["channel"]) for block in blocks if "trunk" in str(block.get("channel")))))  # fmt: skip
        await tried("list phones", link.ask_list(*ami_actions.list_devices(), take=lambda blocks: blocks))
        channel = channels[0] if channels else "PJSIP/trunk-none"
        await tried("set a variable", control.set_variables(channel, {"AC_PRIO": "1"}))
        await tried("read", control.get_global("AC_WD"))
        await tried("ring", control.offer(offer_id="r1", interaction_id="n1-9.9", caller_channel=channel, extension="102",
                                          ring_s=5, epoch=1))  # fmt: skip
        await tried("cancel", control.cancel_offer("n1-9.9-r1"))
        await tried("move", control.move(channel, "ac-wait"))
        await tried("hang up", control.hang_up(channel))
        await tried("ping", link.send("Ping"))
        call.hang_up()
        task.cancel()
    return failed


async def test_with_our_classes_everything_works_and_without_any_one_of_them_something_does_not(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ami, "BOOT_S", 0.5)
    read, write = classes(room)
    assert (sorted(read), sorted(write)) == (["call", "system", "user"], ["call", "originate"])
    assert await works(room, 5.0) == set()
    needed: dict[str, set[str]] = {}
    for kind, names in (("read", read), ("write", write)):
        for name in names:
            fewer = {"read": read, "write": write, kind: [other for other in names if other != name]}
            async with with_classes(room, ",".join(fewer["read"]) or "none", ",".join(fewer["write"]) or "none"):
                needed[f"{kind} {name}"] = await works(room, 0.4)
    assert all(needed.values()), needed
    assert needed["read system"] == {"log in"} and "ring" in needed["write originate"]
    async with room.serving():
        pass  # everything as it was


@pytest.mark.parametrize("row", FORBIDDEN, ids=lambda row: f"{row['name']} {list(row.values())[-1]}"[:60])
async def test_our_account_is_refused_what_it_does_not_need(room: Room, row: dict[str, str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with room.serving() as parts:
        _, item = await room.waits()

        def filled(text: str) -> str:
            return text.replace("CHANNEL", item.channel).replace("MARK", str(mark))

        headers = {name: filled(value) for name, value in row.items() if name != "name"}
        with pytest.raises(ActionRefused):
            await parts.link.send(row["name"], headers)
        assert not mark.exists() and parts.link.up
        assert [seen.uniqueid for seen in await room.channels()] == [item.interaction_id]


async def test_no_secret_can_be_read_through_a_variable(room: Room) -> None:
    async with room.serving() as parts:
        _, item = await room.waits()
        for variable in SECRETS:
            for channel in ("", item.channel):
                where = {"Channel": channel} if channel else {}
                try:
                    answer = await parts.link.send("Getvar", {**where, "Variable": variable})
                except ActionRefused:
                    continue
                assert answer.get("value") == "", (variable, answer)


async def test_a_stranger_at_the_manager_is_not_let_in(room: Room) -> None:
    plan = room.plan.ami

    async def knock(user: str, secret: str) -> bytes:
        reader, writer = await asyncio.open_connection(plan.host, plan.port)
        login = f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\n\r\n"
        writer.write(f"{login}Action: Originate\r\nChannel: PJSIP/101\r\n\r\n".encode())
        async with asyncio.timeout(15):
            said = await reader.read()
        writer.close()
        return said

    for said in await asyncio.gather(knock(plan.controller.user, "wrong"), knock("admin", "admin"), knock("", "")):
        assert b"Response: Success" not in said and b"Response: Error" in said
