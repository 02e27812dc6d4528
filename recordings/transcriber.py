"""Has recordings transcribed in child processes, and survives whatever happens to them.

Decides deadlines, restarts and when an idle child's memory is given back; does not queue or repeat jobs (the caller's
leases do) and does not know rows. Invariants: one job at a time per child; a job that was cancelled, ran over its
deadline or lost its child leaves no child behind that might still answer it; the words of a job are given whole or not
at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core.errors import AftercallError
from recordings.models import NoModel, SpeechModel
from recordings.transcript import Word, is_noise

SIDES = ("caller", "agent")
LOAD_S = 60.0
GIGABYTE = 1024**3
Resolver = Callable[[str], SpeechModel | NoModel]


class NoSpeech(AftercallError):
    """There is no model to do it with: nothing is wrong with the recording, it may be done when there is one."""

    def __init__(self, reason: str) -> None:
        super().__init__("recordings:no-model", f"transcription off: {reason}", status=503)


class TranscriptionFailed(AftercallError):
    """The job did not come to an end; it may be tried again. `kind`: audio, crash, deadline, memory."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"recordings:transcription-{kind}", reason, status=500)
        self.kind = kind


@dataclass(frozen=True)
class Spoken:
    """What was recognised: words per side, by which model, and what it took."""

    model: SpeechModel
    sides: dict[str, tuple[Word, ...]]
    seconds: float
    took_s: float
    cpu_s: float


def deadline_s(audio_s: float) -> float:
    """How long a job may take: a small model needs a tenth of real time a side; a busy, niced one is given thirty times
    that, and room for the start."""
    return 30.0 + 6.0 * audio_s


class Transcriber:
    """`async with Transcriber(resolver) as transcriber:`; `run()` gives idle children's memory back meanwhile."""

    def __init__(
        self, resolver: Resolver, *, workers: int = 1, idle_s: float = 180.0, memory_bytes: int = 4 * GIGABYTE,
        deadline: Callable[[float], float] = deadline_s,
    ) -> None:  # fmt: skip
        self._resolver = resolver
        self._idle_s = idle_s
        self._deadline = deadline
        self._children = [_Child(memory_bytes) for _ in range(workers)]
        self._free: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()  # the warm one first
        for child in self._children:
            self._free.put_nowait(child)
        self._checked: dict[Path, str] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The children that run now."""
        return tuple(child.pid for child in self._children if child.pid)

    async def __aenter__(self) -> Transcriber:
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in self._children:
            await child.close()

    async def run(self) -> None:
        """Until cancelled: ends children that had nothing to do for `idle_s`."""
        while True:
            await asyncio.sleep(min(self._idle_s, 30.0))
            for child in self._children:
                if child.pid and not child.busy and time.monotonic() - child.last_used > self._idle_s:
                    await child.close()

    async def check(self, language: str) -> SpeechModel | NoModel:
        """The language's model, loaded once to prove that it can be, or why there is none."""
        try:
            async with self._child() as child:
                return await self._loaded(child, language)
        except NoSpeech as error:
            return NoModel(language, error.message.removeprefix("transcription off: "))

    async def transcribe(self, path: Path, language: str, audio_s: float) -> Spoken:
        """The words of a stereo recording of `audio_s` seconds. Raises NoSpeech or TranscriptionFailed."""
        async with self._child() as child:
            model = await self._loaded(child, language)
            words: dict[str, list[Word]] = {side: [] for side in SIDES}

            def hear(message: dict[str, Any]) -> None:
                words[message["side"]].extend(
                    Word(float(start), float(end), str(text), float(confidence))
                    for text, start, end, confidence in message["words"]
                    if not is_noise(str(text))
                )

            request = {"op": "transcribe", "path": str(path), "sides": list(SIDES)}
            answer = await child.ask(request, self._deadline(audio_s), hear)
            if not answer["ok"]:
                raise TranscriptionFailed(str(answer["kind"]), str(answer["reason"]))
            return Spoken(
                model=model,
                sides={side: tuple(found) for side, found in words.items()},
                seconds=float(answer["seconds"]),
                took_s=float(answer["took_s"]),
                cpu_s=float(answer["cpu_s"]),
            )

    async def _loaded(self, child: _Child, language: str) -> SpeechModel:
        model = await asyncio.to_thread(self._resolver, language)
        if isinstance(model, NoModel):
            raise NoSpeech(model.reason)
        if child.loaded == model.path:
            return model
        try:
            answer = await child.ask({"op": "load", "path": str(model.path)}, LOAD_S, lambda _: None)
        except TranscriptionFailed as error:
            raise NoSpeech(f"the model {model.name} cannot be loaded: {error.message}") from error
        if not answer["ok"]:
            raise NoSpeech(str(answer["reason"]))
        if answer["language"] not in ("", language):
            raise NoSpeech(f"the model {model.name} speaks '{answer['language']}', not '{language}'")
        child.loaded = model.path
        return model

    @contextlib.asynccontextmanager
    async def _child(self) -> AsyncIterator[_Child]:
        child = await self._free.get()
        child.busy = True
        try:
            yield child
        finally:
            child.busy = False
            child.last_used = time.monotonic()
            self._free.put_nowait(child)


class _Child:
    """One process, started when it is first asked and again whenever it has died."""

    def __init__(self, memory_bytes: int) -> None:
        self.loaded: Path | None = None
        self.busy = False
        self.last_used = 0.0
        self._memory_bytes = memory_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def ask(
        self, request: dict[str, Any], within_s: float, hear: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Sends one request and returns its final answer; `hear` gets what comes before it. However this is left
        without an answer, the process is ended."""
        done = False
        try:
            async with asyncio.timeout(within_s):
                process = await self._running()
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps(request).encode() + b"\n")
                with contextlib.suppress(ConnectionError):  # it has died: reading tells how
                    await process.stdin.drain()
                while line := await process.stdout.readline():
                    message: dict[str, Any] = json.loads(line)
                    if "ok" in message:
                        done = message["ok"] or message["kind"] in ("model", "audio", "request")
                        return message
                    hear(message)
            raise TranscriptionFailed("crash", f"the speech process ended in mid job ({await self._epitaph()})")
        except TimeoutError as error:
            raise TranscriptionFailed("deadline", f"not done within {within_s:.0f} s") from error
        except (ValueError, TypeError, KeyError) as error:
            raise TranscriptionFailed("crash", f"the speech process answered nonsense: {error!r}") from error
        finally:
            if not done:
                await self.close(kill=True)

    async def close(self, *, kill: bool = False) -> None:
        """Ends the process: by closing its input, and by force when that is not enough or `kill` asks for it."""
        process, self._process, self.loaded = self._process, None, None
        try:
            if process is not None and process.returncode is None:
                assert process.stdin is not None
                process.stdin.close()
                if not kill:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1.0):
                            await process.wait()
        finally:  # also when we are being cancelled ourselves
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self.close()
        self._stderr = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - lives as long as the process
        self._process = await asyncio.create_subprocess_exec(
            *_command(self._memory_bytes), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=self._stderr, limit=16 * 1024 * 1024, env=_environment(), start_new_session=True,
        )  # fmt: skip
        return self._process

    async def _epitaph(self) -> str:
        process = self._process
        assert process is not None
        try:
            async with asyncio.timeout(2.0):
                code = await process.wait()
        except TimeoutError:
            return "it closed its output but lives"
        try:
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        except ValueError:
            how = f"with status {code}"
        if self._stderr is None:
            return how
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 2000))
        said = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"{how}; its last words: {said[-1][:200]}" if said else how


def _command(memory_bytes: int) -> Sequence[str]:
    return sys.executable, "-m", "recordings.transcriber_child", str(os.getpid()), str(memory_bytes)


def _environment() -> dict[str, str]:
    """No secret of ours is the child's business; one thread, since several children share the machine with calls."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    here = str(Path(__file__).resolve().parent.parent)
    return {**kept, "PYTHONPATH": here, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
