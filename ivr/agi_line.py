"""A caller's line over FastAGI, and the handler that brings an arriving call to the runner.

Knows AGI verbs only through `pbx`. Several sounds in a row are one command (Background, Playback): between two commands
Asterisk throws away keys, and a key pressed just there would be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ivr.ports import Digit, HungUp, NoDigit, NoSessions, Played, Sessions
from ivr.runner import Runner
from pbx import agi_server as agi

SESSION_S = 1.0
NO_CONTEXT = "ac-none"  # a context without extensions: a key then only stops the sound


class AgiLine:
    """Satisfies `ivr.ports.Line`."""

    def __init__(self, session: agi.AgiSession) -> None:
        self._session = session

    async def answer(self) -> HungUp | None:
        return _gone(await self._session.answer())

    async def play(self, paths: Sequence[str], escape_digits: str) -> Played | HungUp:
        if not paths:
            return HungUp() if self._session.hung_up else Played()
        if len(paths) == 1 or any(mark in path for path in paths for mark in "&,"):
            return await self._one_by_one(paths, escape_digits)
        sounds = "&".join(paths)
        if escape_digits:
            reply = await self._session.execute(
                "Background", f"{sounds},,,{NO_CONTEXT}", deadline_s=agi.LONGEST_PROMPT_S
            )
        else:
            reply = await self._session.execute("Playback", sounds, deadline_s=agi.LONGEST_PROMPT_S)
        if not isinstance(reply, agi.Done):
            return HungUp() if self._session.hung_up else Played()
        code = int(reply.result) if reply.result.lstrip("-").isdigit() else 0
        return Played(chr(code) if escape_digits and 32 < code < 127 else None)

    async def _one_by_one(self, paths: Sequence[str], escape_digits: str) -> Played | HungUp:
        for path in paths:
            played = await self._session.stream_file(path, escape_digits)
            if isinstance(played, agi.HungUp) or self._session.hung_up:
                return HungUp()
            if isinstance(played, agi.Failed) and played.code == 200 and "would not play" in played.reason:
                return HungUp()  # stopped in the middle without a key: the hang-up itself is told a moment later
            if isinstance(played, agi.Failed):
                structlog.get_logger().error("sound_not_played", reason=played.reason)
            elif played.digit:
                return Played(played.digit)
        return Played()

    async def digit(self, timeout_s: float) -> Digit | NoDigit | HungUp:
        heard = await self._session.wait_for_digit(timeout_s)
        if isinstance(heard, agi.Digit):
            return Digit(heard.digit)
        if isinstance(heard, agi.HungUp) or self._session.hung_up:
            return HungUp()
        return NoDigit()

    async def set_variable(self, name: str, value: str) -> HungUp | None:
        return _gone(await self._session.set_variable(name, value))

    async def get_variable(self, name: str) -> str:
        value = await self._session.get_variable(name)
        return (value.text or "") if isinstance(value, agi.Value) else ""

    async def hang_up(self) -> None:
        await self._session.hang_up()


def _gone(reply: agi.Done | agi.HungUp | agi.Failed) -> HungUp | None:
    return HungUp() if isinstance(reply, agi.HungUp) else None


class MenuCalls:
    """The handler for `pbx.agi_server.AgiServer`: `AgiServer(MenuCalls(runner, sessions))`."""

    def __init__(self, runner: Runner, sessions: Sessions | None = None) -> None:
        self._runner = runner
        self._sessions = sessions or NoSessions()

    async def __call__(self, session: agi.AgiSession) -> None:
        line = AgiLine(session)
        node = await line.get_variable("AC_NODE")  # set = this caller fell out of a menu before
        interaction_id = await line.get_variable("AC_IX") or session.interaction_id
        resume = None
        language = ""
        if node:
            language = await line.get_variable("AC_LANG")
            try:
                async with asyncio.timeout(SESSION_S):
                    resume = await self._sessions.last(interaction_id)
            except Exception:
                structlog.get_logger().exception("session_not_found")
        await self._runner.run(
            line,
            did=session.did,
            ani=session.ani,
            interaction_id=interaction_id,
            resume=resume,
            at_node=node,
            language=language,
        )
