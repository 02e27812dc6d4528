"""`python -m app.shop --port N --token T`: the sample shop as a process of its own, on loopback, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from aiohttp import web

from app.shop.books import LEAST, open_books
from app.shop.server import Shop

OFFSET = timezone(timedelta(hours=8))  # where the shop stands; its days begin and end by this


def _moment(text: str) -> datetime:
    """A day (taken at six in the evening there) or a full time with offset."""
    moment = datetime.fromisoformat(text)
    if len(text) == 10:
        return moment.replace(hour=18, tzinfo=OFFSET)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset, as in 2026-11-24T18:00:00+08:00")
    return moment.astimezone(OFFSET)


def _arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.shop", description="The sample shop.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback only")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port, named in the first line of output")
    parser.add_argument("--token", default=os.environ.get("AFTERCALL_SHOP_TOKEN", ""), help="or AFTERCALL_SHOP_TOKEN")
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--today", type=_moment, default=None, help="the stories end on this day (default: now)")
    parser.add_argument("--state", type=Path, default=None, help="remember opening time and changes in this file")
    arguments = parser.parse_args(given)
    if not ipaddress.ip_address(arguments.host).is_loopback:
        parser.error("the sample shop listens on loopback only")
    if len(arguments.token) < 16:
        parser.error("a token of at least 16 characters is needed")
    if not LEAST <= arguments.orders <= 100_000:
        parser.error(f"--orders is from {LEAST} to 100000")
    return arguments


async def serve(arguments: argparse.Namespace, say: Callable[[str], object]) -> None:
    """Serves until SIGTERM or SIGINT."""
    now = arguments.today or datetime.now(OFFSET).replace(microsecond=0)
    books = open_books(orders=arguments.orders, seed=arguments.seed, now=now, file=arguments.state)
    if arguments.state is not None:
        books.save(arguments.state)
    shop = Shop(books, arguments.token, lambda: datetime.now(OFFSET), arguments.state)
    runner = web.AppRunner(shop.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        site = web.TCPSite(runner, arguments.host, arguments.port)
        await site.start()
        host, port = runner.addresses[0][:2]
        say(json.dumps({"shop": f"http://{host}:{port}", "orders": len(books)}) + "\n")
        await stop.wait()
    finally:
        await runner.cleanup()


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(line)
        sys.stdout.flush()


def main() -> None:
    arguments = _arguments()
    try:
        asyncio.run(serve(arguments, _say))
    except OSError as fault:
        sys.exit(f"the sample shop cannot listen on {arguments.host}:{arguments.port}: {fault.strerror}")


if __name__ == "__main__":
    main()
