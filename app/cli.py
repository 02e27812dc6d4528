"""The command line: `aftercall run | restart | units | demo | doctor | drill | reconcile | call | models | db | user | flows |
routing`.

Decides what is said and with which exit status: 0 done, 1 could not be done, 2 wrong usage or settings. Rooms are loaded
by the command that needs them, so that `--help` is quick and one broken room leaves the other commands alone.
Invariant: an expected error is one line on stderr, never a traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app import cli_data, cli_rooms, cli_routing, cli_routing_sim
from app.cli_home import HomeOption, complain, home_folder

app = typer.Typer(
    name="aftercall",
    help="A self-hosted call centre: telephony first, made for sellers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_rooms.models, name="models")
app.add_typer(cli_rooms.flows, name="flows")
app.add_typer(cli_routing.routing, name="routing")
cli_routing_sim.join(cli_routing.routing)
app.add_typer(cli_data.db, name="db")
app.add_typer(cli_data.user, name="user")


@app.command()
def run(
    home: HomeOption = None,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="0 = as set, else 8080 if free")] = 0,
    sip_port: Annotated[int, typer.Option(min=0, max=65535, help="0 = as set, else 5060 if free")] = 0,
    roles: Annotated[
        str, typer.Option(help="only these, e.g. web,worker, in one process; Asterisk comes with telephony")
    ] = "",
) -> None:
    """Run the call centre in the home folder until Ctrl-C or SIGTERM."""
    from app.roles import parse
    from app.world.planner import Options
    from app.world.start import run as run_world

    try:
        only = parse(roles) if roles else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--roles") from error
    raise typer.Exit(run_world(home_folder(home), Options(http_port=http_port, sip_port=sip_port, roles=only)))


@app.command()
def restart(home: HomeOption = None) -> None:
    """Restart the controllers one after the other: queues change hands, callers in menus end in peace, nobody is cut off."""
    from app.world.start import ask_to_roll

    raise typer.Exit(ask_to_roll(home_folder(home)))


@app.command()
def rotate(home: HomeOption = None) -> None:
    """Give the switch's AMI accounts new passwords. Calls and links go on; world.json has the new ones."""
    from app.world.start import ask_to_rotate

    ask_to_rotate(home_folder(home))
    print("the AMI passwords are new; the old ones are refused")


@app.command()
def units(
    home: HomeOption = None,
    to: Annotated[Path | None, typer.Option(help="the folder to write them to, e.g. /etc/systemd/system")] = None,
    show: Annotated[
        bool, typer.Option("--print", help="print them (when no --to is given, this is what happens)")
    ] = False,
    user: Annotated[str, typer.Option(help="who everything runs as (default: the home's owner, else aftercall)")] = "",
) -> None:
    """Print or install systemd units for this home: one for the whole, or one for each role."""
    from app.world.units import install, render_units

    rendered = render_units(home_folder(home), user=user)
    if show or to is None:
        for name, text in rendered.items():
            print(f"# --- {name}\n{text}")
    if to is not None:
        for file in install(rendered, to):
            print(file)


@app.command()
def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="the last line is one JSON object with what was measured")
    ] = False,
) -> None:
    """Set up a world of its own and let one real call happen in it, from dialling to transcript."""
    from app.demo.run import run as run_demo

    raise typer.Exit(run_demo(as_json=as_json))


@app.command()
def doctor(
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per finding")] = False,
) -> None:
    """Look at a home and the world that runs in it; say what is wrong and how to mend it."""
    from app.world.doctor import run as run_doctor

    raise typer.Exit(run_doctor(home_folder(home), as_json=as_json))


@app.command()
def drill(
    fault: Annotated[str, typer.Option(help="numbers such as 1,8,16; all without it")] = "",
    times: Annotated[int, typer.Option(min=0, max=100, help="how often each; 0 = as often as its promise wants")] = 0,
    short: Annotated[bool, typer.Option("--short", help="the selection that every landing runs")] = False,
    home: HomeOption = None,
    table: Annotated[Path | None, typer.Option(help="write the table into this JSON file")] = None,
    seed: Annotated[int, typer.Option(help="the instants of the faults; 0 = new ones")] = 0,
) -> None:
    """Hold failure drills: each fault is injected for real among live calls, and ten oracles judge. Only on a rehearsal."""
    from app.drills.run import new_seed
    from app.drills.run import run as run_drills

    faults = frozenset(int(number) for number in fault.replace(" ", "").split(",") if number)
    place = home_folder(home) if home is not None else None
    raise typer.Exit(
        run_drills(faults, times=times or None, short=short, home=place, table=table, seed=seed or new_seed())
    )


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0.2, max=1440, help="how long, after a minute of warming up")] = 15,
    rate: Annotated[float, typer.Option(min=0.1, max=20, help="calls a second")] = 5,
    seed: Annotated[int, typer.Option(help="who calls when; 0 = anew")] = 0,
) -> None:
    """Calls of every kind at a steady rate, on a world of its own; then nothing may have grown and nothing may differ."""
    from app.drills.run import new_seed
    from app.drills.soak import run as run_soak

    raise typer.Exit(run_soak(minutes=minutes, rate=rate, seed=seed or new_seed()))


@app.command()
def reconcile(
    home: HomeOption = None,
    since: Annotated[
        str, typer.Option(help="24h, 7d, or a moment such as 2026-11-24T03:30; without it the last day")
    ] = "",
    until: Annotated[str, typer.Option(help="as --since; without it 30 s ago: what just ended is being copied")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON object per difference, and one that sums up")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="tell what the switch knows better as events; rows follow")
    ] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="then move finished days of the switch's book aside, keep 14 of them")
    ] = False,
) -> None:
    """Compare our calls with the switch's own book and recordings with their files; exit 1 when anything differs."""
    from app.cli_reconcile import run as run_reconcile

    raise typer.Exit(run_reconcile(home_folder(home), since, until, as_json=as_json, repair=repair, rotate=rotate))


@app.command()
def call(
    number: Annotated[str, typer.Argument(help="the number to dial; without one the echo number")] = "",
    home: HomeOption = None,
    caller: Annotated[str, typer.Option("--from", help="the caller's number")] = "+8613800138000",
    keys: Annotated[str, typer.Option(help="keys to press, e.g. 1 or 12345678#; `,` waits one second")] = "",
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="how long to listen after the last key")] = 3.0,
    save: Annotated[Path | None, typer.Option(help="write what was heard into this WAV file")] = None,
) -> None:
    """Place one synthetic call over the trunk account and tell what was heard, as one JSON object."""
    from app.cli_call import place

    raise typer.Exit(place(home_folder(home), number, caller=caller, keys=keys, seconds=seconds, save=save))


def main() -> None:
    """The program's entry: runs a command and turns expected errors into one line."""
    from core.errors import AftercallError

    try:
        app()
    except AftercallError as error:
        complain(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ModuleNotFoundError as error:
        room = (error.name or "").partition(".")[0]
        if room not in ("core", "pbx", "orders_bridge", "ivr", "routing", "recordings", "desk", "app"):
            raise
        print(f"aftercall: this installation lacks {error.name}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
