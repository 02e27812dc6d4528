"""The command line: quick to help, one line for an expected error, and a status that scripts can trust."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["aftercall", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_help_loads_no_room(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['aftercall', '--help']\nfrom app import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('aiohttp', 'sqlalchemy', 'numpy', 'pydantic', 'ivr', 'recordings') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    for name in ("run", "demo", "doctor", "call", "models", "db", "user", "flows", "routing"):
        assert name in done.stdout
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--http-port", "70000"], ["models", "install"]])
def test_wrong_usage_has_status_two(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert call(monkeypatch, *arguments) == 2


def test_wrong_settings_have_status_two_and_a_line_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "aftercall.toml").write_text('colour = "red"\n[http]\nport = -1\n')
    assert call(monkeypatch, "run", "--home", str(tmp_path)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("aftercall: ") for line in lines)


def test_an_expected_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "user", "list", "--home", str(tmp_path / "none")) == 1
    assert call(monkeypatch, "call", "--home", str(tmp_path / "none")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "There is no database at" in lines[0]
    assert "No world runs in" in lines[1]


def test_a_policy_is_checked_shown_and_published_from_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, good, bad = str(tmp_path / "home"), tmp_path / "good.yaml", tmp_path / "bad.yaml"
    (tmp_path / "home").mkdir(mode=0o700)
    good.write_text("queues: {service: {wrap_up_s: 5}}\n")
    bad.write_text("queues:\n  service: {wrap_up: 5, waits: {prompts: [queue-bsy]}}\n")

    def said(*arguments: str) -> tuple[int, list[str], list[str]]:
        status = call(monkeypatch, "routing", *arguments)
        told = capsys.readouterr()
        return status, told.out.splitlines(), told.err.splitlines()

    problems = [
        f"{bad}:2:13: queues.service.wrap_up: 'wrap_up' is not a key of a queue; did you mean 'wrap_up_s'?",
        f"{bad}:2:43: queues.service.waits.prompts[0]: there is no prompt 'queue-bsy'; did you mean 'queue-busy'?",
    ]
    assert said("check", str(good), str(bad)) == (1, [f"{good}: good", *problems], [])
    assert said("check", str(good)) == (0, [f"{good}: good"], [])
    assert said("check", str(tmp_path / "none"))[0] == 2
    assert said("show", "--home", home)[0] == 1, "there is no database yet"
    assert call(monkeypatch, "db", "migrate", "--home", home) == 0
    capsys.readouterr()
    status, shown, _ = said("show", "--home", home)
    assert (status, shown[0]) == (0, "# Nobody has published yet: this is what the settings say.")
    assert said("publish", str(bad), "--home", home) == (2, [], [f"aftercall: {line}" for line in problems])
    assert said("publish", str(good), "--home", home, "--revision", "3")[0] == 1, "somebody else was faster"
    status, told, _ = said("publish", str(good), "--home", home, "--note", "shorter")
    assert (status, told) == (0, ["version 1 is published; a house that runs follows within seconds"])
    assert said("publish", str(good), "--home", home)[1] == ["version 1 says this already"]
    status, shown, _ = said("show", "--home", home)
    assert shown[0].startswith("# Version 1 of ") and shown[0].endswith(" by cli: shorter")
    assert shown[1:] == good.read_text().splitlines()
    assert said("show", "--home", home, "--version", "7")[0] == 1


def test_the_doctor_fails_when_something_is_wrong_and_says_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    assert call(monkeypatch, "doctor", "--json", "--home", str(home)) == 1
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"level": "wrong", "what": "the home folder has mode 755", "fix": f"chmod 700 {home}"} in findings
    assert all(finding["fix"] for finding in findings if finding["level"] != "good")
    home.chmod(0o700)
    assert call(monkeypatch, "doctor", "--home", str(home)) == 0
    assert "all is well" in capsys.readouterr().out


def test_the_home_is_named_or_set_or_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.cli_home import home_folder

    monkeypatch.delenv("AFTERCALL_HOME", raising=False)
    assert home_folder(None) == Path(os.getcwd()) / "var/aftercall"
    monkeypatch.setenv("AFTERCALL_HOME", "/srv/ac")
    assert home_folder(None) == Path("/srv/ac")
    assert home_folder(Path("/x")) == Path("/x")
