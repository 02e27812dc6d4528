"""What callers hear while they wait, on a whole house with a real switch: told by the sound that arrives, never by a flag."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import soundfile

from app.softphone import Call, Softphone, listen
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary
from tests.real.pbx.conftest import held
from tests.real.pbx.test_transfer import CALLER_HZ, FIRST_HZ, has_music, hears, says, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {
    "SPEECH__ENABLED": "false",
    "SUPERVISOR__STANDBY": "false",
    "CALENDARS": '{"never": {}, "always": {"every_day": ["00:00-24:00"]}}',
}
RULES = """
skills: [service, express]
queues:
  service: {{}}
  express: {{skills: {{express: 1}}, wrap_up_s: 0, hours: {hours}, overflow: {{closed: closing}}, waits: {{{waits}}}}}
"""
NUMBERS = count(13700000000)
WORDS = PromptLibrary()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OutsideWorld]:
    home = tmp_path_factory.mktemp("world") / "home"
    music(home / "music" / "tone")
    async for it in held(OutsideWorld(home, settings=SETTINGS)):
        yield it


MUSIC_HZ = 950.0


def music(folder: Path) -> None:
    folder.mkdir(parents=True)
    soundfile.write(folder / "tone.wav", listen.tone(MUSIC_HZ, 20), listen.RATE, subtype="PCM_16")


async def rules(world: OutsideWorld, waits: str, *, hours: str = "always") -> None:
    current = await world.get("policies/current")
    await world.post("policies", {"text": RULES.format(waits=waits, hours=hours), "revision": current["version"]})


async def dial(world: OutsideWorld, phone: Softphone) -> Call:
    call = await phone.call(world.facts["dids"]["queue"], from_user=str(next(NUMBERS)))
    await call.until("talking")
    return call


def sound(name: str) -> listen.Pcm:
    return listen.read_wav(f"{WORDS.find(name, 'en')}.wav")


async def hear(call: Call, *names: str, after_s: float = 0.0, timeout_s: float = 8.0) -> float:
    """One after the other; about the second at which the last one was over."""
    for name in names:
        known = sound(name)
        found = await listen.hear(call, known, after_s=after_s, timeout_s=timeout_s)
        after_s = found.at_s + min(len(known) / listen.RATE, 2.0) - 0.1
    return after_s


def times_heard(call: Call, name: str) -> int:
    known, heard, times = sound(name)[:-800], call.media.heard(), 0  # its last packet may be shorter than a frame
    while (found := listen.find(heard, known)).likeness >= 0.6:
        times += 1
        heard = heard[int(found.at_s * listen.RATE) + len(known) :]
    return times


async def nobody_waits(world: OutsideWorld) -> Any:
    return await world.get_until("queues", lambda page: not any(queue["waiting"] for queue in page["items"]))


async def test_a_position_is_told_again_only_when_it_is_better_and_nobody_is_told_by_a_dead_controller(
    world: OutsideWorld,
) -> None:
    await rules(world, "every_s: 1, position: true, music: tone")
    phone = await world.caller()
    first, second = await dial(world, phone), await dial(world, phone)
    at = await hear(second, "queue-position", "number-2", "queue-position-end")
    await until(lambda: hears(second, MUSIC_HZ))
    await second.media.more(75)  # another turn
    assert (times_heard(first, "queue-position-next"), times_heard(second, "queue-position")) == (1, 1)
    first.hang_up()
    await listen.hear(second, sound("queue-position-next")[: listen.RATE // 2], after_s=at)
    await world.kill()
    await hear(second, "queue-position-next", after_s=at)
    await until(lambda: hears(second, MUSIC_HZ))
    await world.start()
    await second.media.more(75)
    assert times_heard(second, "queue-position-next") == 1, "what they were told is on their own channel"
    assert second.state == "talking"
    second.hang_up()
    await nobody_waits(world)


async def test_a_caller_who_is_answered_in_the_middle_of_an_announcement_talks_at_once(world: OutsideWorld) -> None:
    await rules(world, "greeting: menu-main")
    agent = await world.agent(0, ready=False)
    caller = await dial(world, await world.caller())
    said = sound("menu-main")
    began = await listen.hear(caller, said[: listen.RATE], timeout_s=8)
    await world.ready(0)
    ring = await agent.next_call()
    says(caller, CALLER_HZ)
    ring.answer()
    says(ring, FIRST_HZ)
    await until(lambda: hears(caller, FIRST_HZ) and hears(ring, CALLER_HZ))
    heard_s = len(caller.media.heard()) / listen.RATE - began.at_s
    assert heard_s < len(said) / listen.RATE, "the announcement would not have been over yet"
    await caller.media.more(20)
    rest = caller.media.heard()[int((began.at_s + heard_s) * listen.RATE) :]
    assert listen.tone_level(rest, FIRST_HZ) > 0.9, "nothing but the agent is heard"
    joined_s = caller.media.came_at(first_tone_s(caller, FIRST_HZ)) - ring.at["talking"]
    print(f"answered → heard: {joined_s * 1000:.0f} ms")
    assert joined_s < 0.3
    ring.hang_up()
    await caller.until("ended")


def first_tone_s(call: Call, hertz: float) -> float:
    """Where the tone begins, to 20 ms."""
    heard = call.media.heard()
    frames = (n for n in range(0, len(heard) - 160, 160) if listen.tone_level(heard[n : n + 160], hertz) > 0.8)
    return next(frames) / listen.RATE


async def test_the_expected_wait_is_heard_as_a_band_once_somebody_was_seen_to_talk(world: OutsideWorld) -> None:
    await rules(world, "every_s: 1, expected_wait: true")
    phone, agent = await world.caller(), await world.agent(0)
    talking = await dial(world, phone)
    (ring := await agent.next_call()).answer()
    await until(lambda: ring.state == "talking")
    await ring.media.more(20)
    ring.hang_up()
    await talking.until("ended")
    talking = await dial(world, phone)
    (ring := await agent.next_call()).answer()
    waits = await dial(world, phone)
    await hear(waits, "queue-wait-under", "number-2", "noun-minute-many")
    await until(lambda: has_music(waits))
    for call in (waits, ring):
        call.hang_up()
    await nobody_waits(world)


async def test_who_calls_outside_the_opening_hours_hears_so(world: OutsideWorld) -> None:
    await rules(world, "", hours="never")
    call = await dial(world, await world.caller())
    await call.until("ended")
    assert times_heard(call, "closed") == 1
