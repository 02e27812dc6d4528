"""The free voices that render our own prompts: Debian's flite (English, slt) and espeak-ng (Mandarin).

espeak-ng's plain `cmn` voice (1.51) spells most characters out in English; `cmn-latn-pinyin` speaks them.

Does not look for the programs: whoever renders brings them. Needed by `make prompts` only, never at run time.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from core.errors import AftercallError
from core.prompts.level import Samples

SPEED = {"en": "0.95", "zh": "190"}  # flite: how much slower than its own pace; espeak-ng: words a minute


@dataclass(frozen=True, slots=True)
class Voice:
    """A program that speaks one language. `name` is what the manifest says of it."""

    language: str
    engine: str
    voice: str
    program: str
    environment: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.voice}"

    def say(self, text: str) -> tuple[Samples, int]:
        """The text as mono samples in [-1, 1] and their rate. Raises AftercallError when the program fails."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "said.wav"
            if self.engine == "flite":
                command = [self.program, "-voice", self.voice, "--setf", f"duration_stretch={SPEED['en']}"]
                command += ["-t", text, "-o", str(out)]
            else:
                command = [self.program, "-v", self.voice, "-s", SPEED["zh"], "-w", str(out), text]
            ran = subprocess.run(
                command, env=os.environ | self.environment, capture_output=True, timeout=60, check=False
            )
            if ran.returncode or not out.exists():
                problem = ran.stderr.decode(errors="replace").strip()
                raise AftercallError("core:voice", f"{self.engine} could not say '{text}': {problem}")
            samples, rate = soundfile.read(out, dtype="float64", always_2d=True)
        return np.asarray(samples.mean(axis=1)), int(rate)


def voices(flite: str, espeak: str, environment: dict[str, str]) -> dict[str, Voice]:
    """A voice for each language, by these two programs; `environment` is what they need besides ours."""
    return {
        "en": Voice("en", "flite", "slt", flite, environment),
        "zh": Voice("zh", "espeak-ng", "cmn-latn-pinyin", espeak, environment),
    }
