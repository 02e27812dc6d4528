"""`python -m bench.bare_vosk MODEL`: recognition as a loop around Vosk and nothing else, the peer of B11.

One line `{"path", "gate"}` in, one line `{"took_s", "cpu_s", "words"}` out. Reads a whole file, resamples each side at once,
hands it on in Vosk's usual blocks; with `gate` leaving out the silence that ours leaves out. As modest a process as ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
import soundfile
import soxr
import vosk

from recordings.silence import SilenceGate

RATE, BLOCK = 16_000, 4_000


def recognise(model: Any, path: str, *, gate: bool) -> int:
    """How many words both sides have."""
    sound, rate = soundfile.read(path, dtype="int16", always_2d=True)
    words = 0
    for column in range(sound.shape[1]):
        side = soxr.resample(np.ascontiguousarray(sound[:, column]), rate, RATE)
        heard = vosk.KaldiRecognizer(model, RATE)
        heard.SetWords(True)
        kept = SilenceGate(RATE)
        for start in range(0, len(side), BLOCK):
            block = side[start : start + BLOCK]
            for part in kept.take(block) if gate else (block,):
                if heard.AcceptWaveform(part.tobytes()):
                    words += len(json.loads(heard.Result()).get("result", ()))
        words += len(json.loads(heard.FinalResult()).get("result", ()))
    return words


def main() -> None:
    os.nice(10)
    vosk.SetLogLevel(-1)
    model = vosk.Model(sys.argv[1])
    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        begun, cpu = time.monotonic(), time.process_time()
        words = recognise(model, request["path"], gate=request["gate"])
        took = {"took_s": time.monotonic() - begun, "cpu_s": time.process_time() - cpu, "words": words}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
