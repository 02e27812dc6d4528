"""What an agent can do and where they belong, as people may change it: skills with a level from 1 to 5, and teams.

Pure. Does not know who exists (`desk.py`) or who takes whom (`pool.py`). A name is anything that may stand in a policy's
text; that nobody asks for it is no fault: who hires comes before who writes the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.errors import AftercallError, BadInput
from routing.policy.form import NAME

MOST = 100  # skills, or teams, of one agent
LEVELS = range(1, 6)
_NAME = re.compile(NAME)


@dataclass(frozen=True)
class Ability:
    """`revision`: how often it was changed (0 = as it was given at first, or nothing is known)."""

    extension: str
    skills: Mapping[str, int] = field(default_factory=dict)
    teams: frozenset[str] = frozenset()
    revision: int = 0


class AbilityChanged(AftercallError):
    """Somebody else has changed the same agent since."""

    def __init__(self, extension: str, revision: int) -> None:
        super().__init__(
            "routing:ability-changed", f"Somebody has changed agent {extension} meanwhile; it stands at revision {revision}.",
            hint="Look at what it is now, and try again.", status=409,
        )  # fmt: skip


def check_skills(skills: Mapping[str, int]) -> dict[str, int]:
    """The skills in the order of their names. Raises BadInput."""
    _check_names("skill", skills)
    for name, level in skills.items():
        if level not in LEVELS:
            raise BadInput(
                "routing:skill-level", f"A level of {level} in '{name}' cannot be.",
                hint="Levels go from 1 (just able) to 5 (best); leave a skill out to take it away.",
            )  # fmt: skip
    return dict(sorted(skills.items()))


def check_teams(teams: Iterable[str]) -> frozenset[str]:
    """Raises BadInput."""
    found = frozenset(teams)
    _check_names("team", found)
    return found


def _check_names(what: str, names: Iterable[str]) -> None:
    found = list(names)
    if len(found) > MOST:
        raise BadInput(f"routing:{what}-many", f"An agent has at most {MOST} {what}s.")
    wrong = next((name for name in found if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise BadInput(
            f"routing:{what}-name", f"'{wrong[:80]}' cannot be the name of a {what}.",
            hint="Letters, digits, dots, dashes and underscores; at most 64, and no dot or dash at the beginning.",
        )  # fmt: skip
