"""Brings one world about and keeps it: Asterisk, Redis, the sample shop, the controller.

Decides what is started, adopted, started again and stopped; the plan says with which ports and secrets. Invariants:
everything that can fail by itself fails before anything is started; SIGTERM, SIGINT or SIGHUP stop all of it within
10 s, in reverse, and leave no process; killed, it leaves Asterisk and its calls, and the next launcher adopts them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.probe import SipProbe
from app.roles import ACD, ALL, ROLES, TELEPHONY, parse, process_name
from app.world import accounts, services, switch
from app.world.bundle import Bundle
from app.world.children import Child, ChildSpec, Report, sweep
from app.world.controllers import Controllers
from app.world.notify import notify, watchdog
from app.world.plan import WorldPlan, read_plan, write_private
from app.world.planner import Options, make_plan, new_instance
from app.world.ports import Claims
from app.world.process import ProcessId, remember, remembered
from app.world.render import fingerprint, render
from app.world.switch_watch import SwitchWatch
from core.errors import AftercallError
from core.settings import Settings

AGAIN_S = 2.0
TRIES = 4  # lives a child has to get through its start


class StartFailed(AftercallError):
    def __init__(self, message: str) -> None:
        super().__init__("world:start", message)


@dataclass(frozen=True, slots=True)
class Programs:
    """What is started; tests put stand-ins here. `redis` None = one is configured."""

    asterisk: Bundle
    redis: Bundle | None
    controller: Callable[..., ChildSpec] = services.controller_spec  # (plan, slot), and roles when the house is split


class Launcher:
    """`await Launcher(…).run()` returns the exit status when the world has ended."""

    def __init__(self, home: Path, settings: Settings, options: Options, programs: Programs, say: Report) -> None:
        self.home = home
        self.plan: WorldPlan
        self._settings = settings
        self._options = options
        self._programs = programs
        self._say = say
        self._claims = Claims()
        self._stop = asyncio.Event()
        self._roll = asyncio.Event()
        self._rotate = asyncio.Event()
        self._children: dict[str, Child] = {}
        self._configuration = ""
        self._orders: list[dict[str, Any]] = []
        self._ready = False
        self._first_serves = asyncio.Event()
        self._failure = ""
        self._unwritten = False
        self._kinds: list[Controllers] = []

    # --- the whole life

    async def run(self, when_ready: Callable[[WorldPlan], None] = lambda _plan: None) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGUSR1, self._roll.set)
        loop.add_signal_handler(signal.SIGUSR2, self._rotate.set)
        sweep(remembered(self._file("children.json")), self._say)
        adopted = await self._prepare()
        self._make_children(adopted)
        try:
            async with asyncio.TaskGroup() as group:
                for role, child in self._children.items():
                    kind = next((kind for kind in self._kinds if role in kind.children), None)
                    group.create_task(self._run_kind(kind, role) if kind is not None else child.run())
                watching = [kind.watch() for kind in self._kinds]
                helpers = [
                    group.create_task(work)
                    for work in (
                        self._start(when_ready),
                        self._roll_when_asked(),
                        self._rotate_when_asked(),
                        self._write_again(),
                        self._watch_switch(),
                        watchdog(),
                        *watching,
                    )  # fmt: skip
                ]
                try:
                    await self._stop.wait()
                finally:
                    for helper in helpers:
                        helper.cancel()
                    await self._stop_all()
        finally:
            self._clean()
        if self._failure:
            raise StartFailed(self._failure)
        return 0

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():  # asked twice: no more patience
            for child in self._children.values():
                child.kill()
        self._stop.set()

    def _file(self, name: str) -> Path:
        return self.home / "run" / name

    # --- before anything is started

    async def _prepare(self) -> ProcessId | None:
        """Makes the plan and the configuration; returns the Asterisk to be adopted, if one still runs."""
        previous = self._previous()
        record = switch.Record.read(switch.record_file(self.home))
        running = False
        busy: list[str] = []
        if record is not None and previous is not None and record.instance == previous.instance:
            names = await switch.channels(previous)
            if names is None:
                self._say(f"Asterisk (pid {record.process.pid}) runs but does not answer; it is stopped")
                await self._end(record.process, signal.SIGKILL)
            else:
                running, busy = True, list(names)
        if running and not busy and previous is not None and self._moved(previous):
            assert record is not None
            await self._end(record.process, signal.SIGTERM)
            running = False
        self.plan = make_plan(
            self.home, self._settings, self._options, self._programs.asterisk, self._claims,
            instance=previous.instance if previous else new_instance(self.home), previous=previous, running=running,
        )  # fmt: skip
        for folder in self.plan.folders.all():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.plan.write()
        if running and record is not None:
            wanted = self._rendered_beside()
            if wanted == record.configuration:
                self._configuration = wanted
                self._say(f"adopting the Asterisk that still runs (pid {record.process.pid}, {len(busy)} channels)")
                return record.process
            if busy:
                await self._accounts(record)
                self._say(
                    f"adopting the Asterisk that still runs (pid {record.process.pid}, {len(busy)} channels); "
                    "its changed configuration is used from its next start on"
                )
                return record.process
            self._say("the configuration changed and no call is up: Asterisk starts anew")
            await self._end(record.process, signal.SIGTERM)
        return None

    def _previous(self) -> WorldPlan | None:
        try:
            return read_plan(self.home)
        except AftercallError:
            return None

    def _moved(self, previous: WorldPlan) -> bool:
        """Whether the operator asks for other ports or another name than Asterisk runs with."""
        settings = self._settings
        sip, rtp = self._options.sip_port or settings.sip.port, settings.sip.rtp_start
        return (
            sip not in (0, previous.sip.port)
            or rtp not in (0, previous.rtp.start)
            or settings.sip.rtp_ports != previous.rtp.end - previous.rtp.start + 1
            or settings.sip.host != previous.sip_bind
            or settings.asterisk.node != previous.node
        )

    def _render(self) -> None:
        self._configuration = self._stamp(render(self.plan, self._settings))

    def _rendered_beside(self) -> str:
        beside = self.plan.folders.asterisk / "etc.wanted"
        try:
            return self._stamp(render(self.plan, self._settings, to=beside))
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _stamp(self, rendered: str) -> str:
        """What makes a running Asterisk the wanted one: its files and its program."""
        return f"{rendered}:{self.plan.asterisk.version}:{self.plan.asterisk.command[-1]}"

    async def _end(self, process: ProcessId, number: int) -> None:
        process.signal(number)
        if not await process.ended(4.0):
            process.signal(signal.SIGKILL)
            await process.ended(2.0)

    # --- children

    def _make_children(self, adopted: ProcessId | None) -> None:
        plan, sample = self.plan, self._settings.sample
        specs: list[tuple[ChildSpec, Callable[[], None], ProcessId | None]] = [
            (switch.spec(plan, self._claims.descriptors("rtp-")), self._render, adopted)
        ]
        if self._programs.redis is not None and plan.redis.own:
            redis = self._programs.redis
            specs.append(
                (services.redis_spec(plan, redis.command("redis-server"), redis.environment), _nothing, None)
            )  # fmt: skip
        if plan.shop.own:
            specs.append((services.shop_spec(plan, sample.orders, sample.seed), _nothing, None))
        for spec, before, running in specs:
            self._children[spec.role] = Child(spec, self._say, self._started, before_start=before, adopted=running)
        self._kinds = [self._kind(roles) for roles in self._groups()]
        for kind in self._kinds:
            self._children |= kind.children

    def _groups(self) -> list[frozenset[str]]:
        """The sets of roles that have a process here, in the order in which they are started."""
        groups = [parse(text) for text in self._settings.split.processes] or [ALL]
        if self._options.roles is not None:
            groups = [self._options.roles]
        return sorted(groups, key=lambda roles: min(ROLES.index(role) for role in roles))

    def _kind(self, roles: frozenset[str]) -> Controllers:
        """One process with these roles, and one that stands by where only one may own them."""
        slots = (1, 2) if self._settings.supervisor.standby and roles & {TELEPHONY, ACD} else (1,)
        make = self._programs.controller
        specs = [make(self.plan, slot) if roles == ALL else make(self.plan, slot, roles) for slot in slots]
        return Controllers(
            self.plan.folders.run, specs, self._settings.supervisor, self._say, self._started, self._write_down,
            name=process_name(roles),
        )  # fmt: skip

    async def _run_kind(self, kind: Controllers, role: str) -> None:
        """Those after the first begin when it serves: it has brought the database to the newest schema."""
        if kind is not self._kinds[0]:
            await self._first_serves.wait()
        await kind.run(role)

    def _write_down(self) -> None:
        """Who runs, for whoever comes after us and for outsiders. A disk that is full ends nobody; it is written later."""
        try:
            self._write_lives()
            self._write_world()
        except OSError as error:
            if not self._unwritten:
                self._say(f"who runs cannot be written down now: {error}")
            self._unwritten = True
        else:
            self._unwritten = False

    def _write_lives(self) -> None:
        found = {name: ProcessId.of(child.pid) for name, child in self._children.items() if child.pid}
        if (process := found.pop("asterisk", None)) is not None:
            switch.Record(process, self.plan.instance, self._configuration).write(switch.record_file(self.home))
        remember(self._file("children.json"), {name: known for name, known in found.items() if known is not None})

    async def _write_again(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            if self._unwritten:
                self._write_down()

    def _started(self, _role: str, _pid: int) -> None:
        """A life began."""
        self._write_down()

    # --- becoming ready

    async def _start(self, when_ready: Callable[[WorldPlan], None]) -> None:
        try:
            async with asyncio.timeout(self._settings.supervisor.start_s), asyncio.TaskGroup() as group:
                group.create_task(self._wait("asterisk", switch.fully_booted(self.plan)))
                if "redis" in self._children:
                    group.create_task(self._wait("redis", services.redis_ready(self.plan)))
                if "shop" in self._children:
                    group.create_task(self._wait("shop", self._ask_shop()))
                for number, kind in enumerate(self._kinds):
                    group.create_task(self._wait(next(iter(kind.children)), self._owned(kind, first=not number)))
        except TimeoutError:
            self._fail(f"not everything was ready after {self._settings.supervisor.start_s:g} s")
        except BaseExceptionGroup as errors:
            self._fail("; ".join(dict.fromkeys(_words(errors))))
        else:
            self._ready = True
            self._write_world()
            for kind in self._kinds:
                kind.all_may_start()
            notify("READY=1\nSTATUS=everything serves")
            when_ready(self.plan)

    def _fail(self, why: str) -> None:
        self._failure = why
        self._stop.set()

    async def _wait(self, role: str, ready: Awaitable[None]) -> None:
        """Waits until the child is ready; gives up when it dies again and again."""
        child = self._children[role]

        async def struggling() -> None:
            await child.lived(TRIES)
            raise StartFailed(f"{role} does not stay up; it says: {child.last_words(3)}")

        begun = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(struggling())
            await ready
            watching.cancel()
        self._say(f"{role} is ready ({asyncio.get_running_loop().time() - begun:.1f} s)")

    async def _owned(self, kind: Controllers, *, first: bool) -> None:
        await kind.owned()
        if first:
            self._first_serves.set()

    async def _ask_shop(self) -> None:
        self._orders = await services.shop_samples(self.plan)

    def _write_world(self) -> None:
        """What outsiders are told; again whenever a process changes. `controller` is whoever owns the queues."""
        if not self._ready:
            return
        ours = {role for kind in self._kinds for role in kind.children}
        pids = {role: child.pid for role, child in self._children.items() if role not in ours}
        pids = {"launcher": os.getpid(), **pids}
        for kind in self._kinds:
            pids |= kind.pids()
        handle = self.plan.handle(asterisk_pid=pids["asterisk"], pids=pids, orders=self._orders)
        write_private(self._file("world.json"), json.dumps(handle, ensure_ascii=False, indent=1) + "\n")

    async def _watch_switch(self) -> None:
        """Is Asterisk there for a phone? One that lives and does not serve is killed, and started again."""

        async def console() -> bool:
            return await switch.ask(self.plan, "core show uptime", timeout_s=2.0) is not None

        probe = SipProbe(self.plan.sip.host, self.plan.sip.port)
        child, limits = self._children["asterisk"], self._settings.supervisor
        await SwitchWatch(child, probe, console, limits, self._file("switch.json"), self._say).run()

    async def _roll_when_asked(self) -> None:
        """`aftercall restart`: the controllers one after the other, no call noticing."""
        while True:
            await self._roll.wait()
            self._roll.clear()
            try:
                for kind in self._kinds:
                    await kind.roll()
                self._say("both controllers were restarted" if len(self._kinds) == 1 else "all roles were restarted")
            except TimeoutError:
                self._say("a controller did not come back in time; the restart stops here")

    async def _rotate_when_asked(self) -> None:
        """`aftercall rotate`: other AMI passwords; links that stand go on, and whoever connects reads the plan."""
        while True:
            await self._rotate.wait()
            self._rotate.clear()
            try:
                self.plan = accounts.with_new_passwords(self.plan)
                self.plan.write()
                await self._accounts(switch.Record.read(switch.record_file(self.home)))
                self._say("the AMI passwords are new")
            except (AftercallError, OSError) as error:
                self._say(f"the AMI passwords: {error}")
            self._write_down()

    async def _accounts(self, record: switch.Record | None) -> None:
        """A switch that runs lets in whom the plan says, whatever else of its configuration waits for its next start."""
        if record is None:
            return
        self._configuration = record.configuration
        if await accounts.put_in_force(self.plan, self._settings):
            self._configuration = self._stamp(fingerprint(self.plan.folders.asterisk_etc))
            switch.Record(record.process, record.instance, self._configuration).write(switch.record_file(self.home))

    # --- the end

    async def _stop_all(self) -> None:
        """In reverse: what uses the others first; the helpers together."""
        notify("STOPPING=1")
        self._file("world.json").unlink(missing_ok=True)
        await asyncio.gather(*(child.stop() for kind in self._kinds for child in kind.children.values()))
        self._first_serves.set()  # nobody waits for their turn any more
        for kind in self._kinds:
            kind.all_may_start()
        await asyncio.gather(*(child.stop() for child in self._children.values()))

    def _clean(self) -> None:
        for name in ("children.json", "asterisk.json", "switch.json", "redis.conf"):
            self._file(name).unlink(missing_ok=True)
        for kind in self._kinds:
            kind.clean()
        folders = self.plan.folders
        if folders.asterisk not in folders.asterisk_run.parents:
            shutil.rmtree(folders.asterisk_run, ignore_errors=True)
        self._claims.close()


def _nothing() -> None:
    return None


def _words(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in _words(inner)]
    return [str(error)]


def wanted_differs(plan: WorldPlan, record: switch.Record) -> bool:
    """Whether the files on disk are other ones than the running Asterisk was started with (told by the doctor)."""
    return not record.configuration.startswith(fingerprint(plan.folders.asterisk_etc))
