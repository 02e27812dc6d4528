"""A download that breaks off goes on where it stopped, or says why it cannot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recordings import model_install
from recordings.model_catalogue import Offer
from recordings.model_install import InstallFailed, Progress, download, install
from recordings.models import file_sha256
from tests.unit.recordings.model_files import make_zip, model_files

BODY = bytes(range(256)) * 4000


class Shop(ThreadingHTTPServer):
    """Serves BODY; `cut` bytes and then the line goes dead; `ranges` = understands Range."""

    daemon_threads = True
    body = BODY
    cut: int | None = None
    ranges = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.zip"


class Asked(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        shop, wanted = self.server, self.headers.get("Range")
        shop.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and shop.ranges else 0
        if start >= len(shop.body):
            self.send_error(416)
            return
        data = shop.body[start:]
        self.send_response(206 if start else shop.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: shop.cut])

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_progress_is_told_in_bytes_of_the_whole(shop: Shop, tmp_path: Path) -> None:
    steps: list[Progress] = []
    download(shop.url, tmp_path / "m.zip", steps.append)
    assert (tmp_path / "m.zip").read_bytes() == BODY
    assert (steps[-1].done, steps[-1].total) == (len(BODY), len(BODY))


def test_a_broken_download_goes_on_where_it_stopped(shop: Shop, tmp_path: Path) -> None:
    shop.cut = 300_000
    with pytest.raises(OSError, match="300000 of 1024000"):
        download(shop.url, tmp_path / "m.zip", size=len(BODY))
    assert not (tmp_path / "m.zip").exists()
    shop.cut = None
    download(shop.url, tmp_path / "m.zip", size=len(BODY))
    assert shop.asked == [None, "bytes=300000-"]
    assert (tmp_path / "m.zip").read_bytes() == BODY


def test_a_server_that_cannot_resume_starts_anew(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "m.zip.part").write_bytes(b"x" * 1000)
    shop.ranges = False
    download(shop.url, tmp_path / "m.zip")
    assert (tmp_path / "m.zip").read_bytes() == BODY


def test_a_part_longer_than_the_whole_is_thrown_away(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "m.zip.part").write_bytes(b"x" * (len(BODY) + 5))
    download(shop.url, tmp_path / "m.zip")
    assert (tmp_path / "m.zip").read_bytes() == BODY


def test_an_official_archive_is_fetched_proved_and_installed(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_zip(tmp_path / "small-cn.zip", model_files())
    shop.body = archive.read_bytes()
    good = Offer("small-cn", "zh", "official", shop.url, file_sha256(archive), size=archive.stat().st_size)
    monkeypatch.setattr(model_install, "CATALOGUE", (good,))
    model = install("zh", cache=tmp_path / "cache")
    assert (model.name, model.sha256) == ("small-cn", good.sha256)


def test_another_archive_than_the_pinned_one_is_refused(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.body = make_zip(tmp_path / "small-cn.zip", model_files()).read_bytes()
    monkeypatch.setattr(model_install, "CATALOGUE", (Offer("small-cn", "zh", "official", shop.url, "0" * 64),))
    with pytest.raises(InstallFailed, match="its sum is"):
        install("zh", cache=tmp_path / "cache")
    assert [p.name for p in (tmp_path / "cache").iterdir() if not p.name.startswith(".")] == []
