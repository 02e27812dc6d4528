"""`python -m bench.ami_traffic CALLS`: a manager port that tells of many calls, each as a real Asterisk told it once.

Says nothing of its own: the events are the traces the unit tests stand on, written as Asterisk writes them, with a new
unique id for each call and several calls in the air at a time. Prints its port; serves connection after connection until
its input is closed. `Action: BenchGo` starts the stream, whose last event is `UserEvent: BenchOver`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TRACES = Path(__file__).parents[1] / "tests" / "unit" / "pbx" / "traces"
AT_ONCE = 20  # calls in the air at a time
OVER = "BenchOver"
BOOTED = "Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 60\r\nLastReload: 60\r\nStatus: Fully Booted\r\n\r\n"
FIRST = ("event", "privilege", "systemname", "timestamp")
NAMES = (
    "Event Privilege SystemName Timestamp CallerIDName CallerIDNum Channel Context Exten Uniqueid AccountCode ChannelState "
    "ChannelStateDesc ConnectedLineName ConnectedLineNum Language Linkedid Priority Device State Cause BridgeCreator "
    "BridgeName BridgeNumChannels BridgeTechnology BridgeType BridgeUniqueid BridgeVideoSourceMode Cause-txt ActionID Reason "
    "Response AcAni AcAt AcChannel AcInteraction AcLang AcLevel AcPrio AcProblem AcQueue AcSkills AcVisit UserEvent "
    "TechCause MusicClass"
)
SPELT = {name.lower(): name for name in NAMES.split()}


def text_of(block: dict[str, Any]) -> str:
    """One event as Asterisk spells it."""
    names = [*(name for name in FIRST if name in block), *(name for name in block if name not in FIRST)]
    return "".join(f"{SPELT[name]}: {block[name]}\r\n" for name in names) + "\r\n"


def stories() -> list[list[str]]:
    """The recorded calls, event by event, with `{IX}` where the call's unique id stands."""
    found = []
    for file in sorted(TRACES.glob("*.json")):
        blocks = json.loads(file.read_text(encoding="utf-8"))
        own = next(block["uniqueid"] for block in blocks if block["event"] == "Newchannel")
        found.append([text_of(block).replace(own, "{IX}") for block in blocks])
    return found


def traffic(calls: int) -> Iterator[str]:
    """Events of `calls` calls, `AT_ONCE` of them interleaved event by event."""
    told = stories()
    waiting = iter(range(calls))
    lines: list[tuple[str, Iterator[str]]] = []
    while True:
        while len(lines) < AT_ONCE and (number := next(waiting, None)) is not None:
            lines.append((f"n1-1795500000.{number * 10}", iter(told[number % len(told)])))
        if not lines:
            return
        for line in list(lines):
            text = next(line[1], None)
            if text is None:
                lines.remove(line)
            else:
                yield text.replace("{IX}", line[0])


async def serve(calls: int) -> None:
    texts = list(traffic(calls))
    stream = "".join([*texts, f"Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: {OVER}\r\n\r\n"]).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        while action := await _action(reader):
            writer.write(f"Response: Success\r\nActionID: {action['actionid']}\r\nMessage: done\r\n\r\n".encode())
            if action["action"] == "Login":
                writer.write(BOOTED.encode())
            elif action["action"] == "BenchGo":
                writer.write(stream)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], len(texts), len(stream), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _action(reader: asyncio.StreamReader) -> dict[str, str]:
    try:
        block = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return {}
    pairs = (line.partition(": ")[::2] for line in block.split("\r\n") if line)
    return {name.lower(): value for name, value in pairs}


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
