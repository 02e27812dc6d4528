"""Which speech model a language gets, and why there is none.

Decides where a model is looked for: configured path, installed package, cache; does not download
(`model_install.py`) and does not load it (`transcriber_child.py`). Invariants: resolving never raises for a missing or
broken model, it answers `NoModel` with the reason; a folder that lacks a file, or has one of another size than was
installed, is not a model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recordings.model_catalogue import CATALOGUE, packages_of

MANIFEST = "aftercall-model.json"
SYSTEM_CACHE = Path("/var/cache/aftercall")
_NEEDED = ("conf/mfcc.conf", "am/final.mdl")  # Vosk's layout since 2020
_NEEDED_OLD = ("mfcc.conf", "final.mdl")  # and before
_SYMBOL_TABLE = (2125658996).to_bytes(4, "little")  # OpenFst's mark
_GRAPHS = (("graph/HCLG.fst",), ("graph/HCLr.fst", "graph/Gr.fst"), ("HCLG.fst",), ("HCLr.fst", "Gr.fst"))


@dataclass(frozen=True)
class SpeechModel:
    """A model that can be loaded. `name` stands beside every figure; `sha256` is that of the archive it came from, or
    of its files' sums when it came as a folder; `origin`: configured, package, cache."""

    name: str
    language: str
    path: Path
    sha256: str
    origin: str = "configured"


@dataclass(frozen=True)
class NoModel:
    """There is no usable model for `language`; `reason` is one sentence with what to do."""

    language: str
    reason: str

    def __str__(self) -> str:
        return f"transcription off: {self.reason}"


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where downloaded models are kept: `$AFTERCALL_CACHE`, else one folder for the machine when we are root, else the
    user's own; in it `models/`."""
    environ = os.environ if environ is None else environ
    if environ.get("AFTERCALL_CACHE"):
        return Path(environ["AFTERCALL_CACHE"]) / "models"
    if os.geteuid() == 0:
        return SYSTEM_CACHE / "models"
    return Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".cache") / (
        "aftercall/models"
    )


def search_folders(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The caches read, in order: our own, then the machine's (root may have filled it for a user who is not), unless
    the environment names one cache only."""
    environ = os.environ if environ is None else environ
    own = cache_folder(environ)
    return (own,) if environ.get("AFTERCALL_CACHE") else tuple(dict.fromkeys((own, SYSTEM_CACHE / "models")))


def resolve(
    language: str, configured: Path | None = None, caches: Iterable[Path] | None = None
) -> SpeechModel | NoModel:
    """The model for `language` ("en", "zh"). A configured path that cannot be used is never replaced silently."""
    if configured is not None:
        return examine(configured, language, "configured")
    broken: list[str] = []
    for folder in _package_folders(language):
        found = examine(folder, language, "package")
        if isinstance(found, SpeechModel):
            return found
        broken.append(found.reason)
    for cache in search_folders() if caches is None else caches:
        for folder in _cached(cache, language):
            found = examine(folder, language, "cache")
            if isinstance(found, SpeechModel):
                return found
            broken.append(found.reason)
    if broken:
        return NoModel(language, f"{broken[0]}; `aftercall models install {language}` fetches it anew")
    return NoModel(language, f"no speech model for '{language}'; `aftercall models install {language}` fetches one")


def examine(folder: Path, language: str, origin: str) -> SpeechModel | NoModel:
    """The folder as a model of `language`, or what is wrong with it."""
    if not folder.is_dir():
        return NoModel(language, f"the speech model's folder {folder} is not there")
    missing = missing_part(folder)
    if missing:
        return NoModel(language, f"the speech model in {folder} is incomplete: {missing} is missing or empty")
    manifest = read_manifest(folder)
    files = manifest.get("files", {})
    for name, facts in files.items() if isinstance(files, dict) else ():
        part = folder / name
        size = part.stat().st_size if part.is_file() else -1
        if size != facts["size"]:
            return NoModel(language, f"the speech model in {folder} is damaged: {name} has {max(size, 0)} bytes, "
                                     f"not {facts['size']}")  # fmt: skip
    spoken = str(manifest.get("language") or guess_language(folder) or language)
    if spoken != language:
        return NoModel(language, f"the speech model in {folder} speaks '{spoken}', not '{language}'")
    name = str(manifest.get("name") or folder.resolve().name)
    checksum = str(manifest.get("sha256") or tree_sha256(folder))
    return SpeechModel(name=name, language=language, path=folder, sha256=checksum, origin=origin)


def missing_part(folder: Path) -> str:
    """The first needed file that is missing or empty; "" when the folder has the shape of a Vosk model."""

    def absent(names: Iterable[str]) -> str:
        return next((n for n in names if not (folder / n).is_file() or not (folder / n).stat().st_size), "")

    lacking = absent(_NEEDED)
    if lacking and absent(_NEEDED_OLD):
        return lacking
    return "" if any(not absent(graph) for graph in _GRAPHS) else "graph/HCLr.fst"


def guess_language(folder: Path) -> str:
    """ "zh" or "en" by the script of the model's vocabulary, "" when it has none that can be read cheaply. The words
    stand in `words.txt` or, in small models, as the symbol table at the head of the grammar."""
    for name in ("graph/words.txt", "words.txt"):
        if (folder / name).is_file():
            with open(folder / name, "rb") as file:
                file.seek(max(0, (folder / name).stat().st_size // 2 - 100_000))
                return _script_of(file.read(200_000).decode("utf-8", "ignore"))
    for name in ("graph/Gr.fst", "Gr.fst"):
        if (folder / name).is_file():
            with open(folder / name, "rb") as file:
                return _script_of(" ".join(_symbols(file.read(400_000))))
    return ""


def _script_of(text: str) -> str:
    han = sum("\u4e00" <= char <= "\u9fff" for char in text)
    latin = sum("a" <= char.lower() <= "z" for char in text)
    if han + latin < 40:
        return ""
    return "zh" if han > latin else "en" if han * 20 < latin else ""


def _symbols(head: bytes) -> Iterable[str]:
    """The words of an OpenFst symbol table within the first bytes of a grammar: each a length, bytes, a 64-bit key."""
    start = head.find(_SYMBOL_TABLE)
    if not 0 <= start < 4096 or len(head) < start + 8:
        return
    at = start + 8 + int.from_bytes(head[start + 4 : start + 8], "little") + 16
    while at + 4 <= len(head):
        length = int.from_bytes(head[at : at + 4], "little")
        if length > 200 or at + 12 + length > len(head):
            return
        yield head[at + 4 : at + 4 + length].decode("utf-8", "ignore")
        at += 12 + length


def tree_sha256(folder: Path) -> str:
    """One sum over the names and sums of all files (our own manifest left out)."""
    total = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        total.update(f"{file.relative_to(folder).as_posix()}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def file_sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(model: SpeechModel) -> list[str]:
    """Reads every file of an installed model anew; one line for each that differs from what was installed."""
    files = read_manifest(model.path).get("files", {})
    if not isinstance(files, dict):
        return ["its list of files cannot be read"]
    return [
        f"{name} is not what was installed"
        for name, facts in files.items()
        if not (model.path / name).is_file() or file_sha256(model.path / name) != facts["sha256"]
    ]


def read_manifest(folder: Path) -> dict[str, object]:
    """What the installer wrote beside the model; empty when it did not come from it."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _package_folders(language: str) -> Iterable[Path]:
    for module in packages_of(language):
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            continue
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield from (p for p in (Path(place), Path(place) / "model") if not missing_part(p))


def _cached(cache: Path, language: str) -> list[Path]:
    """Folders of the cache that hold a model of the language, the catalogue's first choice first."""
    order = [offer.name for offer in CATALOGUE if offer.language == language]
    try:
        folders = [p for p in cache.iterdir() if p.is_dir() and not p.name.startswith(".")]
    except OSError:
        return []
    mine = [p for p in folders if read_manifest(p).get("language") == language or p.name in order]
    return sorted(mine, key=lambda p: (order.index(p.name) if p.name in order else len(order), p.name))
