"""Chromium as these tests drive it, and what its pages say of themselves while they are looked at.

The program is the host's when new enough, else the one in the cache, else fetched there (`app.world.bundle`); its
profile is new each time. Nothing in it asks anybody but the page's own server.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Response, async_playwright, expect

from app import console_build
from app.world.bundle import ensure

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
SIZE: Any = {"width": 1280, "height": 860}
expect.set_options(timeout=20_000)  # a fuse: this machine may be busy with other things
WATCH = (Path(__file__).parent / "watch.js").read_text(encoding="utf-8")


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Browser]:
    """A running browser; `folder` takes what it would write into a home folder."""
    program = ensure("chromium")
    home = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR")}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program.command("chromium")[-1], headless=True, args=list(ARGUMENTS),
            env={**os.environ, **program.environment, **home},
        )  # fmt: skip
        try:
            yield browser
        finally:
            await browser.close()


def axe_source() -> str:
    """axe-core, as the console's lock file names it."""
    return (console_build.modules() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Window:
    """One page and all it complained about. `may_refuse` holds what the server may say no to: "401 /api/me"."""

    page: Page
    url: str
    may_refuse: set[str] = field(default_factory=lambda: {"401 /api/me"})
    troubles: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, context: BrowserContext, url: str) -> Window:
        window = cls(await context.new_page(), url)
        window.page.on("console", window._said)
        window.page.on("pageerror", lambda error: window.troubles.append(f"thrown: {error}"))
        window.page.on("response", window._answered)
        return window

    def _said(self, message: ConsoleMessage) -> None:
        # The browser's own remark on a refusal; `_answered` judges those.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.troubles.append(f"{message.type}: {message.text}")

    def _answered(self, response: Response) -> None:
        path = response.url.removeprefix(self.url).partition("?")[0]
        refusal = f"{response.status} {path}"
        if response.status >= 400 and refusal not in self.may_refuse:
            self.troubles.append(refusal)

    async def go(self, path: str) -> None:
        """Returns when the page stands: its frame, or the log-in."""
        await self.page.goto(self.url + path)
        await self.page.locator("[data-testid=user-menu], [data-testid=login-user]").wait_for()

    async def log_in(self, user: str, password: str) -> None:
        await self.go("/login")
        await self.page.get_by_test_id("login-user").fill(user)
        await self.page.get_by_test_id("login-password").fill(password)
        await self.page.get_by_test_id("login-submit").click()
        await self.page.wait_for_url(lambda url: not url.endswith("/login"))

    async def until(self, condition: str, *, timeout_s: float = 10.0) -> None:
        """Returns when the expression holds in the page. (Playwright's own way would need `eval`, which our policy forbids.)"""
        async with asyncio.timeout(timeout_s):
            while not await self.page.evaluate(condition):
                await asyncio.sleep(0.03)

    async def seen(self) -> dict[str, dict[str, float]]:
        """When the page heard of a card and when its order stood in the document, by offer; wall clock, milliseconds."""
        found: dict[str, dict[str, float]] = await self.page.evaluate("window.seen")
        return found

    async def texts(self) -> list[str]:
        """All that a person can read or be read to: visible texts, labels, titles, placeholders."""
        found: list[str] = await self.page.evaluate("window.readable()")
        return found

    async def overflow(self) -> list[str]:
        """What sticks out of the window or is cut off without a sign."""
        found: list[str] = await self.page.evaluate("window.stickingOut()")
        return found

    async def violations(self) -> list[str]:
        """What axe-core finds that is serious or critical."""
        await self.page.evaluate(axe_source())
        found = await self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{rule['id']} ({rule['impact']}): {'; '.join(node['html'][:160] for node in rule['nodes'][:3])}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
        ]


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Somebody's browser: cookies and storage of their own."""
    context = await browser.new_context(viewport=SIZE, **{"locale": "en-GB", "timezone_id": "Asia/Shanghai", **options})
    context.set_default_timeout(20_000)
    await context.add_init_script(WATCH)
    return context
