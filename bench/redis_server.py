"""A real Redis of a bench's own: on loopback, without a disk, ended with the block."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from app.world.bundle import ensure


@contextmanager
def redis_server(folder: Path) -> Iterator[redis.Redis]:
    """A client of it. Raises TimeoutError when it is not up within 5 s."""
    program = ensure("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*program.command("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"],
        cwd=folder, env={**os.environ, **program.environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    client = redis.Redis(host="127.0.0.1", port=port)
    try:
        until = time.monotonic() + 5
        while not _answers(client):
            if time.monotonic() > until:
                raise TimeoutError("Redis does not answer")
            time.sleep(0.02)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(5)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
