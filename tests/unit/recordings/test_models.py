"""Which model a language gets: path, package, cache; and why there is none."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from recordings.model_install import install
from recordings.models import NoModel, SpeechModel, cache_folder, guess_language, resolve, search_folders, verify
from tests.unit.recordings.model_files import EN_WORDS, make_folder, make_zip, model_files


def why(found: SpeechModel | NoModel) -> str:
    assert isinstance(found, NoModel)
    return found.reason


def test_without_any_model_the_reason_says_what_to_do(tmp_path: Path) -> None:
    found = resolve("zh", caches=[tmp_path])
    assert str(found).startswith("transcription off: no speech model for 'zh'")
    assert "aftercall models install zh" in str(found)


def test_a_configured_path_comes_first_and_is_not_silently_replaced(tmp_path: Path) -> None:
    install("zh", make_zip(tmp_path / "cn.zip", model_files()), cache=tmp_path / "cache")
    mine = make_folder(tmp_path / "mine", model_files())
    found = resolve("zh", mine, caches=[tmp_path / "cache"])
    assert isinstance(found, SpeechModel)
    assert (found.path, found.origin, len(found.sha256)) == (mine, "configured", 64)
    (mine / "am/final.mdl").unlink()
    assert "am/final.mdl is missing" in why(resolve("zh", mine, caches=[tmp_path / "cache"]))
    assert "not there" in why(resolve("zh", tmp_path / "nowhere", caches=[tmp_path / "cache"]))


def test_an_installed_package_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_folder(tmp_path / "site/vosk_model_cn/model", model_files()).parent
    (package / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    install("zh", make_zip(tmp_path / "cn.zip", model_files()), cache=tmp_path / "cache")
    found = resolve("zh", caches=[tmp_path / "cache"])
    assert isinstance(found, SpeechModel)
    assert found.origin == "package"


def test_a_truncated_model_is_none_and_says_so(tmp_path: Path) -> None:
    model = install("zh", make_zip(tmp_path / "cn.zip", model_files()), cache=tmp_path / "cache")
    (model.path / "graph/HCLr.fst").write_bytes(b"h" * 299)
    assert "graph/HCLr.fst has 299 bytes, not 300" in why(resolve("zh", caches=[tmp_path / "cache"]))


def test_a_file_changed_at_equal_length_is_found_by_verify(tmp_path: Path) -> None:
    model = install("zh", make_zip(tmp_path / "cn.zip", model_files()), cache=tmp_path / "cache")
    assert verify(model) == []
    (model.path / "am/final.mdl").write_bytes(b"x" * 500)
    assert verify(model) == ["am/final.mdl is not what was installed"]


def test_a_model_of_another_language_is_refused(tmp_path: Path) -> None:
    english = make_folder(tmp_path / "en", model_files(EN_WORDS))
    assert "speaks 'en', not 'zh'" in why(resolve("zh", english))


def test_the_language_is_read_from_the_grammars_own_word_table(tmp_path: Path) -> None:
    def text(value: bytes) -> bytes:
        return struct.pack("<i", len(value)) + value

    table = struct.pack("<i", 2125658996) + text(b"words") + struct.pack("<qq", 100, 100)
    table += b"".join(
        text(w.encode()) + struct.pack("<q", i) for i, w in enumerate(["你好", "订单", "包裹", "退款"] * 20)
    )
    folder = make_folder(
        tmp_path / "m", {"graph/Gr.fst": b"\xd6\xfd\xb2\x7e" + b"\0" * 60 + table + bytes(range(256)) * 20}
    )
    assert guess_language(folder) == "zh"
    (folder / "graph/Gr.fst").write_bytes(bytes(range(256)) * 2000)
    assert guess_language(folder) == ""


def test_the_cache_is_named_or_the_machines_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder({"AFTERCALL_CACHE": "/c", "HOME": "/h"}) == Path("/c/models")
    assert search_folders({"AFTERCALL_CACHE": "/c"}) == (Path("/c/models"),)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cache_folder({"HOME": "/h"}) == Path("/h/.cache/aftercall/models")
    assert search_folders({"HOME": "/h"})[1] == Path("/var/cache/aftercall/models")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert search_folders({"HOME": "/root"}) == (Path("/var/cache/aftercall/models"),)
