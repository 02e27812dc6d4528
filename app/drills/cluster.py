"""A Postgres of our own: installed or fetched, as an unprivileged user, on loopback, gone at the end.

It can be stopped, killed and frozen; only processes it started are touched.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import asyncpg

from app.world import privilege
from app.world.bundle import ensure
from app.world.children import dies_with_us
from app.world.ports import Claims, choose

START_S = 60.0


class Cluster:
    """`start()` (again), `kill()`, `freeze()`, `thaw()`, `remove()`; `url(name)`, `create(name, template=…)`, `drop(name)`."""

    def __init__(self) -> None:
        self._bundle = ensure("postgres")
        self._home = Path(tempfile.mkdtemp(prefix="aftercall-postgres-", dir="/tmp"))
        self._claims = Claims()
        self.port = choose("postgres", "127.0.0.1", 0, self._claims)
        self._password = secrets.token_urlsafe(18)
        self._identity = privilege.identity_for(self._home)
        self._process: subprocess.Popen[bytes] | None = None

    def _initialise(self) -> None:
        if self._identity is not None:  # initdb looks with the rights of the user alone
            closed = privilege.unreachable(self._bundle.programs.values(), self._identity)
            assert not closed, f"{self._identity.name} may not enter {closed[0]}; set AFTERCALL_CACHE to another folder"
        given = self._home / "password"
        given.write_text(self._password)
        if self._identity is not None:
            privilege.hand_over([self._home], self._identity)
        self._run(
            "initdb", "-D", str(self._home / "data"), "-U", "aftercall", "-A", "scram-sha-256", "--pwfile", str(given),
            "--locale=C", "-E", "UTF8", "--no-sync",
        ).check_returncode()  # fmt: skip
        (self._home / "data" / "postgresql.auto.conf").write_text(
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
            "fsync = off\nfull_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n"
            "shared_buffers = '32MB'\nmax_connections = 60\nautovacuum = off\n"
        )

    def _as_nobody(self) -> None:
        """In the child, before the program: Postgres refuses to be root."""
        if self._identity is not None:
            privilege.step_down(self._identity)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        with (self._home / f"{program}.log").open("ab") as log:
            return subprocess.run(
                [*self._bundle.command(program), *arguments], env=self._environment(), cwd=self._home,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._as_nobody, timeout=120,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self._bundle.environment, "LC_ALL": "C"}

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://aftercall:{self._password}@127.0.0.1:{self.port}/{name}"

    async def start(self) -> None:
        """Starts it (the first time: from nothing) and returns when it answers."""
        if not (self._home / "data").exists():
            self._initialise()
        process = self._process = self._spawn()
        async with asyncio.timeout(START_S):
            while True:
                assert process.poll() is None, (self._home / "server.log").read_text()[-2000:]
                try:
                    conn = await asyncpg.connect(self.url(), timeout=5)
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.02)
                    continue
                await conn.close()
                return

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._home / "server.log").open("ab") as log:
            return subprocess.Popen(
                dies_with_us([*self._bundle.command("postgres"), "-D", str(self._home / "data")]),
                env=self._environment(), cwd=self._home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=self._as_nobody, start_new_session=True,
            )  # fmt: skip

    def pids(self) -> list[int]:
        """The server's own process first, then those it made."""
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        return [parent, *map(int, children)]

    def freeze(self) -> None:
        """It goes on accepting connections (the kernel does) and never answers."""
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """As if the power had gone: SIGQUIT is Postgres' own immediate stop, without a checkpoint."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    async def create(self, name: str, *, template: str = "template0") -> str:
        await self._say(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    async def drop(self, name: str) -> None:
        await self._say(f"DROP DATABASE {name} WITH (FORCE)")

    async def _say(self, statement: str) -> None:
        conn = await asyncpg.connect(self.url())
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        self._claims.close()
        shutil.rmtree(self._home, ignore_errors=True)
