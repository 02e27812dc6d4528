"""The process that holds the speech model: `python -m recordings.transcriber_child`. One job at a time, JSON lines in
and out.

Decides nothing about jobs, retries or what is shown: it may be killed at any moment and nothing is lost. It is a
process of its own because recognising is pure computation, because a broken file or model may crash it, and because its
memory is given back when it ends. Requests: {"op": "load", "path"}, {"op": "transcribe", "path", "sides"}; answers:
{"words": [[text, start_s, end_s, confidence]], "side"} any number of times, then {"ok": true, …} or {"ok": false,
"reason", "kind"}. Invariants: nice, no core dump, bounded memory, dies with its parent; only answers go to stdout.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

Json = dict[str, Any]
RATE = 16_000  # the models' own; an 8 kHz recogniser fails with some of them, so everything is brought to this first
BLOCK = 4_000  # samples at RATE given to the recogniser at once, as Vosk's own examples do
_PROBES = {"en": ("hello", "please", "number", "order"), "zh": ("你", "我们", "好", "什么")}


class Refusal(Exception):
    """Told to the parent as {"ok": false}; `kind`: model, audio, request."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Recogniser:
    """The loaded model, and one fresh recogniser for each side of each job."""

    def __init__(self) -> None:
        import vosk  # here, so that a missing library is an answer and not a crash at import

        vosk.SetLogLevel(-1)
        self._vosk = vosk
        self._model: Any = None
        self._path = ""

    def load(self, path: str) -> Json:
        """Seconds taken and the language the model's vocabulary speaks ("" when it cannot be told)."""
        begun = time.monotonic()
        if path != self._path:
            self._model, self._path = None, ""  # the old one's memory first
            try:
                self._model = self._vosk.Model(path)
            except Exception as error:
                raise Refusal("model", f"the speech model in {path} cannot be loaded: {error}") from error
            self._path = path
        known = {
            language: sum(self._model.vosk_model_find_word(word) >= 0 for word in words)
            for language, words in _PROBES.items()
        }
        best = max(known, key=lambda language: known[language])
        return {"load_s": time.monotonic() - begun, "language": best if known[best] >= 3 else ""}

    def transcribe(self, path: str, sides: list[str], tell: Callable[[Json], None]) -> Json:
        """Words of every side, told as they are found. The file is streamed: memory does not grow with its length."""
        from recordings import wav

        if self._model is None:
            raise Refusal("request", "no model is loaded")
        begun, cpu = time.monotonic(), time.process_time()
        try:
            sound = wav.inspect(Path(path), channels=len(sides))
            listeners = [_Listener(self._vosk, self._model, sound.sample_rate) for _ in sides]
            with wav.opened(sound) as file:
                for block in wav.blocks(file, sound, frames=sound.sample_rate):
                    for column, side in enumerate(sides):
                        _tell_words(tell, side, listeners[column].hear(block[:, column], last=False))
            for column, side in enumerate(sides):
                _tell_words(tell, side, listeners[column].hear(None, last=True))
        except (wav.BadAudio, FileNotFoundError) as error:
            raise Refusal("audio", str(error)) from error
        return {
            "seconds": sound.seconds,
            "took_s": time.monotonic() - begun,
            "cpu_s": time.process_time() - cpu,
        }


class _Listener:
    """One side: resampled to the model's rate, silence left out, recognised."""

    def __init__(self, vosk: Any, model: Any, rate: int) -> None:
        import numpy as np
        import soxr

        from recordings.silence import SilenceGate

        self._np = np
        self._stream = soxr.ResampleStream(rate, RATE, 1, dtype="int16") if rate != RATE else None
        self._rest = np.zeros(0, dtype=np.int16)
        self._gate = SilenceGate(RATE)
        self._heard = vosk.KaldiRecognizer(model, RATE)
        self._heard.SetWords(True)

    def hear(self, samples: Any, *, last: bool) -> Iterator[list[list[Any]]]:
        np = self._np
        samples = np.zeros(0, dtype=np.int16) if samples is None else np.ascontiguousarray(samples)
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples, last=last)
        rest = np.concatenate((self._rest, samples))
        at = 0
        while len(rest) - at >= BLOCK or (last and at < len(rest)):
            block = rest[at : at + BLOCK]
            at += len(block)
            for kept in self._gate.take(block):
                if self._heard.AcceptWaveform(kept.tobytes()):
                    yield self._words(self._heard.Result())
        self._rest = rest[at:]
        if last:
            yield self._words(self._heard.FinalResult())

    def _words(self, result: str) -> list[list[Any]]:
        real_s = self._gate.real_s
        return [
            [w["word"], round(real_s(w["start"]), 3), round(real_s(w["end"]), 3), round(float(w["conf"]), 4)]
            for w in json.loads(result).get("result", ())
        ]


def _tell_words(tell: Callable[[Json], None], side: str, found: Iterator[list[list[Any]]]) -> None:
    for words in found:
        if words:
            tell({"side": side, "words": words})


def serve(requests: IO[str], tell: Callable[[Json], None], recogniser: Recogniser) -> None:
    """Answers request after request until the parent closes its end."""
    for line in requests:
        try:
            request = json.loads(line)
            if request["op"] == "load":
                answer = recogniser.load(str(request["path"]))
            elif request["op"] == "transcribe":
                answer = recogniser.transcribe(str(request["path"]), [str(s) for s in request["sides"]], tell)
            else:
                raise Refusal("request", f"unknown request {request['op']!r}")
            tell({"ok": True, **answer})
        except Refusal as refusal:
            tell({"ok": False, "kind": refusal.kind, "reason": str(refusal)})
        except MemoryError:
            tell({"ok": False, "kind": "memory", "reason": "the speech process ran out of its memory"})
            return  # whatever is left of this process is not to be trusted
        except (ValueError, KeyError, TypeError) as error:
            tell({"ok": False, "kind": "request", "reason": f"request not understood: {error!r}"})
        except Exception as error:  # the library raises nothing more exact
            tell({"ok": False, "kind": "crash", "reason": f"the recogniser failed: {error}"})
            return


def prepare(parent: int, memory_bytes: int) -> IO[str]:
    """Makes this process a modest one, and gives back the pipe for answers (stdout itself now goes to stderr)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if parent and os.getppid() != parent:
        sys.exit(0)  # it died before we could ask to be told
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> None:
    parent, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    answers = prepare(parent, memory_bytes)

    def tell(message: Json) -> None:
        answers.write(json.dumps(message, ensure_ascii=False) + "\n")
        answers.flush()

    try:
        recogniser = Recogniser()
    except (ImportError, OSError) as error:
        tell({"ok": False, "kind": "model", "reason": f"the speech library cannot be loaded: {error}"})
        return
    serve(sys.stdin, tell, recogniser)


if __name__ == "__main__":
    main()
