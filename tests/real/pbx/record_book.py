"""`python -m tests.real.pbx.record_book`: real calls in Asterisk's own book, beside what we told of them as they happened.

Each story of `record.py` becomes `tests/unit/pbx/books/NAME.csv` (the lines Asterisk wrote) and `NAME.json` (our events).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from core.events import to_record
from tests.real.pbx.lab import SwitchParts, asterisk, phone, settled, trunk
from tests.real.pbx.record import STORIES, Stage, agent_free

BOOKS = Path(__file__).parents[2] / "unit" / "pbx" / "books"


async def main() -> None:
    BOOKS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        async with asterisk(Path(home)) as plan:
            parts = SwitchParts(plan)
            book = plan.folders.book / "Master.csv"
            async with parts.running(plan), await phone(plan, 0) as agent, await trunk(plan) as caller:
                await parts.heartbeat.own(1)
                await settled(parts)
                for story in STORIES:
                    before = len(book.read_text(encoding="utf-8"))
                    await story(Stage(parts, plan, agent, caller))
                    await agent_free(parts)
                    text = await _until_written(book, before)
                    (BOOKS / f"{story.__name__}.csv").write_text(text, encoding="utf-8")
                    told = [to_record(event) for event in parts.heard.events]
                    (BOOKS / f"{story.__name__}.json").write_text(json.dumps(told, indent=0) + "\n", encoding="utf-8")
                    print(story.__name__, text.count("\n"), "lines")


async def _until_written(book: Path, before: int) -> str:
    """What was appended, when as many channels have ended in it as have begun."""
    async with asyncio.timeout(5):
        while True:
            text = book.read_text(encoding="utf-8")[before:]
            if text.endswith("\n") and text.count('"CHAN_START"') == text.count('"CHAN_END"') > 0:
                return text
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
