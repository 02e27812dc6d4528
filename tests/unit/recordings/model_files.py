"""Archives in the shape of speech models, and in shapes nobody should unpack."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

ZH_WORDS = "".join(
    f"{word} {i}\n" for i, word in enumerate(["你好", "订单", "包裹", "在哪里", "退款", "人工", "谢谢"] * 20)
)
EN_WORDS = "".join(f"{word} {i}\n" for i, word in enumerate(["hello", "order", "parcel", "refund", "please"] * 30))


def model_files(words: str = ZH_WORDS) -> dict[str, bytes]:
    return {
        "am/final.mdl": b"m" * 500,
        "conf/mfcc.conf": b"--sample-frequency=16000\n",
        "conf/model.conf": b"--beam=10.0\n",
        "graph/HCLr.fst": b"h" * 300,
        "graph/Gr.fst": b"g" * 300,
        "graph/words.txt": words.encode(),
        "ivector/final.ie": b"i" * 100,
    }


def make_zip(path: Path, files: dict[str, bytes], top: str = "vosk-model-small-cn-local") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"{top}/{name}" if top else name, data)
    return path


def make_tgz(path: Path, files: dict[str, bytes], top: str = "package/model/english") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path
