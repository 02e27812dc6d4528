"""The free voices that render our own prompts: Debian's flite (English, slt) and espeak-ng (Mandarin).

espeak-ng's plain `cmn` voice (1.51) spells most characters out in English; `cmn-latn-pinyin` speaks them.

Finds them on PATH; failing that, takes them from the host's own Debian mirror into the cache folder and unpacks them
there: no root, nothing installed. Needed by `make prompts` only, never at run time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from core.errors import AftercallError
from core.prompts.level import Samples

PACKAGES = ("flite", "libflite1", "espeak-ng", "espeak-ng-data", "libespeak-ng1", "libsonic0", "libpcaudio0")
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


def cache_folder() -> Path:
    """`$AFTERCALL_CACHE`, else `/var/cache/aftercall` for root, else `~/.cache/aftercall`."""
    given = os.environ.get("AFTERCALL_CACHE")
    if given:
        return Path(given)
    return Path("/var/cache/aftercall") if os.geteuid() == 0 else Path.home() / ".cache" / "aftercall"


def find_voices(cache: Path | None = None) -> dict[str, Voice]:
    """A voice for each language. Raises AftercallError naming what is missing and how to get it."""
    flite, espeak = shutil.which("flite"), shutil.which("espeak-ng")
    environment: dict[str, str] = {}
    if not (flite and espeak):
        root = _fetch((cache or cache_folder()) / "voices")
        libraries = next(root.glob("usr/lib/*-linux-gnu"))
        environment = {"LD_LIBRARY_PATH": str(libraries), "ESPEAK_DATA_PATH": str(libraries)}
        flite, espeak = str(root / "usr/bin/flite"), str(root / "usr/bin/espeak-ng")
    return {
        "en": Voice("en", "flite", "slt", flite, environment),
        "zh": Voice("zh", "espeak-ng", "cmn-latn-pinyin", espeak, environment),
    }


def _fetch(folder: Path) -> Path:
    root = folder / "root"
    if (root / "usr/bin/flite").exists() and (root / "usr/bin/espeak-ng").exists():
        return root
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if not apt or not dpkg:
        raise AftercallError("core:voice", "flite and espeak-ng are not installed.", hint="Install both packages.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        _run([apt, "-o", "APT::Sandbox::User=", "download", *PACKAGES], Path(work))
        unpacked = Path(work) / "root"
        for package in sorted(Path(work).glob("*.deb")):
            _run([dpkg, "-x", str(package), str(unpacked)], Path(work))
        shutil.rmtree(root, ignore_errors=True)
        unpacked.rename(root)
    return root


def _run(command: list[str], folder: Path) -> None:
    ran = subprocess.run(command, cwd=folder, capture_output=True, timeout=600, check=False)
    if ran.returncode:
        problem = ran.stderr.decode(errors="replace").strip().splitlines()
        raise AftercallError("core:voice", f"{command[0]} failed: {problem[-1] if problem else ran.returncode}")
