"""`python -m bench [--only B1,B4]`: runs the benches and prints one JSON line per figure; 1 when a target is missed."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import pkgutil
import re
import signal
import sys

import structlog

import bench


def benches() -> dict[str, str]:
    """Name → module, by number: every `bNUMBER_….py` is a bench, whatever else lies there helps them."""
    found = [re.fullmatch(r"b(\d+)_\w+", module.name) for module in pkgutil.iter_modules(bench.__path__)]
    return {f"B{m[1]}": f"bench.{m[0]}" for m in sorted(filter(None, found), key=lambda m: int(m[1]))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--only", default="", help="names such as B1,B4; all without it")
    wanted = {name.strip().upper() for name in parser.parse_args().only.split(",") if name.strip()}
    known = benches()
    if wanted - set(known):
        print(f"no such bench: {', '.join(sorted(wanted - set(known)))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    # Told to end, a bench stops what it started: the same way as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # Standard output is for figures.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    all_ok = True
    for name, module in known.items():
        if wanted and name not in wanted:
            continue
        for line in importlib.import_module(module).run():
            print(json.dumps(line), flush=True)
            all_ok &= line["ok"]
    return 0 if all_ok else 1


if __name__ == "__main__":
    sys.exit(main())
