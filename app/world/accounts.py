"""The switch's AMI accounts: new passwords while calls are up, and what a switch that was adopted must be told.

Asterisk asks for a password at login alone, so a link that stands goes on, and whoever connects reads the plan first. Decides
which file changes; `launcher.py` when. Invariants: the plan knows a password before the switch does (a login in between is
refused, and tried again at once); nothing but the accounts of a running switch is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.world import switch
from app.world.plan import Account, WorldPlan, write_private
from app.world.render import render_file
from app.world.secret_store import SecretStore
from core.errors import AftercallError
from core.settings import Settings
from pbx.ami_wire import encode

FILE = "manager.conf"
TRIES = 5
LOGIN_S = 2.0
Ask = Callable[[WorldPlan, str], Awaitable[str | None]]


class AccountsNotTaken(AftercallError):
    def __init__(self) -> None:
        super().__init__(
            "world:accounts", "The switch does not take its new AMI passwords; it has them from its next start on.",
            hint="Look at HOME/log/asterisk.log; `aftercall doctor` tells when the link is back.",
        )  # fmt: skip


def with_new_passwords(plan: WorldPlan) -> WorldPlan:
    """Makes new ones for both accounts, keeps them in `secrets.json`. Raises SettingsError."""
    secrets = SecretStore.open(plan.home)
    for name in ("ami.controller", "ami.doctor"):
        secrets.renew(name)
    secrets.save()
    ami = plan.ami.model_copy(
        update={
            "controller": Account(user=plan.ami.controller.user, password=secrets["ami.controller"]),
            "doctor": Account(user=plan.ami.doctor.user, password=secrets["ami.doctor"]),
        }
    )
    return plan.model_copy(update={"ami": ami})


async def put_in_force(plan: WorldPlan, settings: Settings, *, ask: Ask = switch.ask) -> bool:
    """The running switch has the accounts of the plan; False when it had them. Raises AccountsNotTaken, RenderError."""
    file, wanted = plan.folders.asterisk_etc / FILE, render_file(FILE, plan, settings)
    if file.read_text(encoding="utf-8") == wanted:
        return False
    write_private(file, wanted)
    for _ in range(TRIES):
        if await ask(plan, "manager reload") is not None:
            return True
    raise AccountsNotTaken


async def lets_in(plan: WorldPlan, account: Account) -> bool:
    """Whether the switch takes this account now."""
    try:
        async with asyncio.timeout(LOGIN_S):
            reader, writer = await asyncio.open_connection(plan.ami.host, plan.ami.port)
            try:
                await reader.readline()
                login = {"Username": account.user, "Secret": account.password, "Events": "off"}
                writer.write(encode("1", "Login", login))
                return b"Success" in await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
