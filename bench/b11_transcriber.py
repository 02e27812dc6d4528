"""B11: recorded calls transcribed per second by our worker, beside bare loops around Vosk over the same files.

Ours: the product's transcriber with its child process, line protocol, streaming reader and silence gate. Peers, in a
process of their own: Vosk over the whole file, and the same with the silence left out that ours leaves out (what our
protocol and streaming cost by themselves). Same model, same resampler to 16 kHz, one thread, equally nice, file by file in
turns. Promise: at least 0.97 of either's rate; the second per second of processor time, ours with the parent's share.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from app.world.bundle import ensure
from bench.figures import Figure, figure, spread
from recordings.model_install import install
from recordings.models import SpeechModel
from recordings.transcriber import Transcriber

CALLS, TURNS, RATE = 5, 6, 8000
GAP_S, LEAST_S, MOST_S = 0.3, 1.5, 4.0
SHARE = 0.97


def conversations(folder: Path) -> list[tuple[Path, float]]:
    """Stereo calls of human prompts, the two sides taking turns, with their seconds."""
    sounds = ensure("asterisk").path("usr/share/asterisk/sounds/en")
    spoken = []
    for file in sorted(sounds.glob("*.wav")):
        sound, rate = soundfile.read(file, dtype="int16")
        if rate == RATE and LEAST_S <= len(sound) / RATE <= MOST_S:
            spoken.append(sound)
    files = []
    for call in range(CALLS):
        parts = []
        for turn in range(TURNS):
            line = np.concatenate(
                [spoken[(call * TURNS + turn) * 3 % len(spoken)], np.zeros(int(GAP_S * RATE), np.int16)]
            )
            silence = np.zeros_like(line)
            parts.append(np.stack([line, silence] if turn % 2 == 0 else [silence, line], axis=1))
        sound = np.concatenate(parts)
        files.append((folder / f"call-{call}.wav", len(sound) / RATE))
        soundfile.write(files[-1][0], sound, RATE, subtype="PCM_16")
    return files


class Bare:
    """The loop's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, path: Path, *, gate: bool) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"path": str(path), "gate": gate}).encode() + b"\n")
        return dict(json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def bare_loop(model: SpeechModel) -> AsyncIterator[Bare]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare_vosk", str(model.path)), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        await process.stdout.readline()
        yield Bare(process)
    finally:
        process.stdin.close()
        await process.wait()


async def _run() -> list[Figure]:
    model = install("en")
    took: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "gated": []}
    words = {"ours": 0, "bare": 0, "gated": 0}
    with tempfile.TemporaryDirectory(prefix="aftercall-b11-") as name:
        files = conversations(Path(name))
        async with Transcriber(lambda _language: model) as transcriber, bare_loop(model) as bare:
            await transcriber.transcribe(files[0][0], "en", files[0][1])  # both are warm
            await bare.ask(files[0][0], gate=False)
            for path, seconds in files:
                begun, parent = time.monotonic(), time.process_time()
                spoken = await transcriber.transcribe(path, "en", seconds)
                took["ours"].append(seconds / (time.monotonic() - begun))
                cpu["ours"].append(seconds / (spoken.cpu_s + time.process_time() - parent))
                words["ours"] += sum(len(side) for side in spoken.sides.values())
                loop, gated = await bare.ask(path, gate=False), await bare.ask(path, gate=True)
                took["bare"].append(seconds / loop["took_s"])
                cpu["gated"].append(seconds / gated["cpu_s"])
                words["bare"] += loop["words"]
                words["gated"] += gated["words"]
    mine, loop_rate = (float(np.median(took[way])) for way in ("ours", "bare"))
    per_cpu, gated_per_cpu = (float(np.median(cpu[way])) for way in ("ours", "gated"))
    facts: dict[str, Any] = {"n": CALLS, "model": model.name, "audio_s": round(sum(s for _, s in files), 1)}
    return [
        figure("B11", "audio_s_per_s", mine, loop_rate, target=f"ratio >= {SHARE:g}", ok=mine >= SHARE * loop_rate,
               spread=spread(took["ours"]), peer_spread=spread(took["bare"]), **facts),
        figure("B11", "audio_s_per_processor_s_vs_gated_loop", per_cpu, gated_per_cpu, target=f"ratio >= {SHARE:g}",
               ok=per_cpu >= SHARE * gated_per_cpu, spread=spread(cpu["ours"]), peer_spread=spread(cpu["gated"]), **facts),
        figure("B11", "words_heard", words["ours"], words["gated"], target="= peer", ok=words["ours"] == words["gated"],
               n=CALLS, without_gate=words["bare"]),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B11."""
    return asyncio.run(_run())
