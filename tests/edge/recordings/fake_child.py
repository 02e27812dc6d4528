"""A scripted speech process: `python fake_child.py SCRIPT_FILE`. Each request takes the next line of the script.

answer JSON… = writes these; die = kills itself; exit = ends; hang = answers nothing; half = half a line, then dies.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

script = Path(sys.argv[1])
for _request in sys.stdin:
    lines = script.read_text().splitlines()
    step, rest = lines[0], lines[1:]
    script.write_text("\n".join(rest))
    if step == "die":
        print("out of luck", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    elif step == "exit":
        sys.exit(3)
    elif step == "hang":
        time.sleep(60)
    elif step == "half":
        sys.stdout.write('{"side": "caller", "wor')
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        for message in json.loads(step):
            print(message if isinstance(message, str) else json.dumps(message), flush=True)
