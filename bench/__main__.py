"""`python -m bench [--only B1,B4]`: runs the benches and prints one JSON line per figure; 1 when a target is missed."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import pkgutil
import signal
import sys

import structlog

import bench


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--only", default="", help="names such as B1,B4; all without it")
    wanted = {name.strip().upper() for name in parser.parse_args().only.split(",") if name.strip()}
    modules = sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if m.name.startswith("b") and "_" in m.name)
    modules.sort(key=lambda name: int(name.split("_")[0][1:]))
    known = {name.split("_")[0].upper(): name for name in modules}
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
        for line in importlib.import_module(f"bench.{module}").run():
            print(json.dumps(line), flush=True)
            all_ok &= line["ok"]
    return 0 if all_ok else 1


if __name__ == "__main__":
    sys.exit(main())
