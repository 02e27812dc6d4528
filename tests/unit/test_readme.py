"""Every command of the README exists, and every file it names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"    (make|\.venv/bin/)")
COMMANDS = [line.strip().split("#")[0].split() for line in README.splitlines() if COMMAND.match(line)]


@pytest.mark.parametrize("target", sorted({words[1] for words in COMMANDS if words[0] == "make"}))
def test_every_make_target_of_the_readme_is_listed_by_make_help(target: str) -> None:
    help_text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^{target}\s", help_text, re.M)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0].endswith("aftercall")], ids=" ".join)
def test_every_command_of_the_readme_is_understood(words: list[str]) -> None:
    asked = [word for word in words[1:] if word != "--help"]
    command = [sys.executable, "-m", "app.cli", *asked[:1], "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    for option in (word for word in words if word.startswith("--")):
        assert option in told.stdout, f"{option} is no option of {asked[:1]}"


@pytest.mark.parametrize("place", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(place: str) -> None:
    assert (ROOT / place).exists()
