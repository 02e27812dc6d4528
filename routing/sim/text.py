"""A scenario's file (YAML) becomes a scenario, or a list of what is wrong with it, each with the path of its key.

Decides the form of the file, nothing else. The rules stand in it as text, or in a file of their own beside it; they are read
by whoever reads rules (`read_policy`). Clock times are the scenario's own: it begins at 00:00, "25:30" is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.errors import AftercallError
from routing.intervals import Goal
from routing.policy.model import Policy
from routing.sim.engine import Staff
from routing.sim.scenario import CallType, Duration, Rate, Scenario, like

MOST_BYTES = 1_000_000
MOST_AGENTS = 5_000
MOST_CALLS = 5_000_000

ReadPolicy = Callable[[str, str], Policy]  # text, what it is called


class ScenarioRefused(AftercallError):
    """The file says nothing that could be simulated. `lines`: one for each thing to mend."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("routing:scenario", "; ".join(lines), status=422)
        self.lines = lines


def _seconds(value: Any) -> Any:
    """From "HH:MM" or "HH:MM:SS"."""
    if not isinstance(value, str):
        return value
    parts = value.split(":")
    if len(parts) not in (2, 3) or not all(part.isdecimal() and len(part) <= 3 for part in parts):
        raise ValueError(f"'{value}' is no time like 09:00")
    hours, minutes, seconds = (*map(int, parts), 0)[:3]
    return hours * 3600 + minutes * 60 + seconds


Clock = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=31 * 86400)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Duration(_Form):
    mean_s: float = Field(gt=0, le=86400)
    shape: Literal["exponential", "lognormal", "gamma", "constant"] = "exponential"
    cv: float = Field(default=1.0, gt=0, le=10)

    def value(self) -> Duration:
        return Duration(self.mean_s, self.shape, self.cv)


class _Rate(_Form):
    since: Clock = Field(default=0.0, alias="from")
    until: Clock
    per_hour: float = Field(ge=0, le=1e6)

    @model_validator(mode="after")
    def _ordered(self) -> _Rate:
        if self.until <= self.since:
            raise ValueError("'until' is not after 'from'")
        return self


class _Shift(_Form):
    since: Clock = Field(alias="from")
    until: Clock


class _Agents(_Form):
    name: Name
    count: int = Field(ge=1, le=MOST_AGENTS)
    skills: dict[Name, Annotated[int, Field(ge=1, le=5)]] = {}
    teams: list[Name] = []
    shifts: list[_Shift] = []

    def staff(self) -> list[Staff]:
        shifts = tuple(sorted((shift.since, shift.until) for shift in self.shifts)) or ((0.0, float("inf")),)
        teams = frozenset(self.teams)
        return [Staff(f"{self.name}-{number:03d}", self.skills, teams, shifts) for number in range(1, self.count + 1)]


class _Type(_Form):
    name: Name
    queue: str = ""
    skills: dict[Name, Annotated[int, Field(ge=1, le=5)]] = {}
    language: str = ""
    tier: str = ""
    problem: str = ""
    priority: int = Field(default=0, ge=-1000, le=1000)
    value_minor: int = Field(default=0, ge=0)
    per_hour: float | None = Field(default=None, ge=0, le=1e6)
    rates: list[_Rate] = []
    handle: _Duration
    patience: _Duration | None = None
    ring_s: float = Field(default=0.0, ge=0, le=300)
    goal_s: float = Field(default=20.0, ge=0)
    short_s: float = Field(default=5.0, ge=0)

    @model_validator(mode="after")
    def _comes(self) -> _Type:
        if (self.per_hour is None) == (not self.rates):
            raise ValueError("say either 'per_hour' or 'rates'")
        return self

    def value(self, length_s: float) -> CallType:
        rates = tuple(Rate(rate.since, rate.until, rate.per_hour) for rate in self.rates)
        if self.per_hour is not None:
            rates = (Rate(0.0, length_s, self.per_hour),)
        item = like(
            self.name, self.queue, skills=self.skills, language=self.language, tier=self.tier, problem=self.problem,
            priority=self.priority, value_minor=self.value_minor,
        )  # fmt: skip
        patience = self.patience.value() if self.patience is not None else None
        return CallType(
            self.name, item, rates, self.handle.value(), patience, self.ring_s, Goal(self.goal_s, self.short_s)
        )


class _Scenario(_Form):
    name: Name
    until: Clock = 8 * 3600.0
    warm_up: Clock = 0.0
    agents: list[_Agents] = Field(min_length=1)
    types: list[_Type] = Field(min_length=1)
    policy: str = ""

    @model_validator(mode="after")
    def _fits(self) -> _Scenario:
        for what, names in (("agents", [it.name for it in self.agents]), ("types", [it.name for it in self.types])):
            if len(set(names)) < len(names):
                raise ValueError(f"two {what} have the same name")
        if sum(group.count for group in self.agents) > MOST_AGENTS:
            raise ValueError(f"more than {MOST_AGENTS} agents")
        hours = self.until / 3600
        calls = sum(
            it.per_hour * hours
            if it.per_hour is not None
            else sum(r.per_hour * (r.until - r.since) / 3600 for r in it.rates)
            for it in self.types
        )
        if calls > MOST_CALLS:
            raise ValueError(f"about {calls:.0f} calls; {MOST_CALLS} are the most")
        if self.warm_up >= self.until:
            raise ValueError("the warm-up is not shorter than the whole")
        return self


def read_scenario(text: str, read_policy: ReadPolicy, folder: Path | None = None, source: str = "scenario") -> Scenario:
    """The scenario of a text. A `policy` of one line names a file in `folder`. Raises ScenarioRefused, and whatever
    `read_policy` raises."""
    if len(text) > MOST_BYTES:
        raise ScenarioRefused([f"{source}: more than {MOST_BYTES} characters"])
    try:
        found = YAML(typ="safe", pure=True).load(text)
        form = _Scenario.model_validate(found if isinstance(found, dict) else {})
    except YAMLError as error:
        raise ScenarioRefused([f"{source}: {' '.join(str(error).split())}"]) from error
    except ValidationError as error:
        raise ScenarioRefused([_line(source, fault) for fault in error.errors()]) from error
    policy = Policy()
    if form.policy:
        policy = read_policy(*_policy_text(form.policy, folder, source))
    staff = tuple(agent for group in form.agents for agent in group.staff())
    types = tuple(it.value(form.until) for it in form.types)
    return Scenario(form.name, types, staff, policy, form.warm_up)


def _line(source: str, fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    return f"{source}: {path + ': ' if path else ''}{fault['msg'].removeprefix('Value error, ')}"


def _policy_text(given: str, folder: Path | None, source: str) -> tuple[str, str]:
    if "\n" in given:
        return given, f"{source}, policy"
    file = (folder or Path()) / given
    try:
        return file.read_text(encoding="utf-8"), str(file)
    except OSError as error:
        raise ScenarioRefused([f"{source}: policy: {file}: {error.strerror}"]) from error
