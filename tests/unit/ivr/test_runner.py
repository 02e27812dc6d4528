"""The shell around the engine: falling out and coming back, broken parts, and how quickly a key is answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import pytest

from core.clock import ManualClock
from core.events.base import from_record, to_record
from core.events.ivr import FlowEnded, FlowPublished, FlowWaited
from ivr.catalogue import SAMPLE, FlowCatalogue
from ivr.collect import collect
from ivr.flow.keys import MOST
from ivr.flow.waits import Collect, Keys
from ivr.loader import FlowRefused
from ivr.ports import CommonBox, HungUp, KnownQueues, NoSessions, Played
from tests.unit.ivr.build import AT, DID, FOUND, KNOWN, Desk, Events, runner
from tests.unit.ivr.line import VirtualLine

PROOF = (("menu-main", "1"), ("ask-order-number", "20261234#"), ("ask-second-factor", "5678#"))


class Crash(BaseException):
    """The process dies here."""


class DyingLine(VirtualLine):
    """Dies when it is about to say a certain prompt."""

    def __init__(self, at: str, *script: tuple[str, str]) -> None:
        super().__init__(*script)
        self.at = at

    async def play(self, paths: Sequence[str], escape_digits: str) -> Played | HungUp:
        if any(path.endswith(f"/{self.at}") for path in paths):
            raise Crash
        return await super().play(paths, escape_digits)


@pytest.mark.parametrize(
    ("died_at", "back_at", "rest"),
    [
        ("menu-main", "menu-main", ("menu-main", "0")),
        ("ask-order-number", "ask-order-number", ("ask-order-number", "0#")),
        ("ask-second-factor", "ask-order-number", ("ask-order-number", "0#")),
        ("order-state-delayed", "ask-order-number", ("ask-order-number", "0#")),
        ("menu-after-status", "menu-after-status", ("menu-after-status", "0")),
        ("connecting", "connecting", ("connecting", "")),
    ],
)
async def test_a_caller_who_falls_out_of_a_dead_controller_comes_back_to_the_same_place(
    died_at: str, back_at: str, rest: tuple[str, str]
) -> None:
    made, events, _ = runner()
    script = (("menu-main", "0"),) if died_at == "connecting" else PROOF
    dying = DyingLine(died_at, *script)
    with pytest.raises(Crash):
        await made.run(dying, did=DID, ani="138", interaction_id="n1-1.1")
    journalled = from_record(to_record(events.of(FlowWaited)[-1]))
    assert isinstance(journalled, FlowWaited)
    second, later, _ = runner()
    line = VirtualLine(rest)
    line.variables = dict(dying.variables)
    end = await second.run(line, did=DID, ani="138", interaction_id="n1-1.1", resume=journalled.session)
    assert line.heard[0] == back_at and end.exit == "handoff"
    assert line.variables["AC_LEVEL"] == "" and line.variables["AC_DONE"] == "1"
    assert [event.exit for event in later.of(FlowEnded)] == ["handoff"]


@pytest.mark.parametrize("resume", [{}, {"flow": 5}, None])
async def test_without_a_usable_session_the_node_on_the_channel_decides(resume: dict[str, object] | None) -> None:
    made, _, _ = runner()
    line = VirtualLine(("menu-person-or-main", "0"))
    end = await made.run(
        line, did=DID, ani="138", interaction_id="n1-1.1", resume=resume, at_node="returns-menu", language="zh"
    )
    assert end.exit == "handoff" and line.heard[0] == "returns-how" and set(line.spoken_in) == {"zh"}


async def test_calls_in_progress_stay_on_the_version_they_began_with() -> None:
    made, events, catalogue = runner()
    dying = DyingLine("menu-main")
    with pytest.raises(Crash):
        await made.run(dying, did=DID, ani="138", interaction_id="n1-1.1")
    session = events.of(FlowWaited)[-1].session
    catalogue.publish(
        SAMPLE.read_text(encoding="utf-8").replace("say: [returns-how, {pause: 200}, menu", "say: [menu"), "new.yaml"
    )
    line = VirtualLine(("menu-main", "2"), ("returns-how", "0"))
    await made.run(line, did=DID, ani="138", interaction_id="n1-1.1", resume=session)
    assert "returns-how" in line.heard
    fresh = VirtualLine(("menu-main", "2"), ("menu-person-or-main", "0"))
    await made.run(fresh, did=DID, ani="138", interaction_id="n1-2.1")
    assert "returns-how" not in fresh.heard


async def test_a_fault_of_ours_ends_in_the_fallback_queue_and_is_said() -> None:
    class Broken(VirtualLine):
        async def digit(self, timeout_s: float):
            raise RuntimeError("boom")

    made, events, _ = runner()
    line = Broken()
    end = await made.run(line, did=DID, ani="138", interaction_id="n1-1.1")
    assert end.exit == "error" and line.variables["AC_NEXT"] == "queue" and line.variables["AC_QUEUE"] == "service"
    assert line.heard[-2:] == ["system-error", "connecting"]
    assert [event.exit for event in events.of(FlowEnded)] == ["error"]


async def test_a_key_is_answered_by_the_next_prompt_within_ten_milliseconds() -> None:
    made, _, _ = runner(Desk(FOUND))
    gaps: list[float] = []

    class Timed(VirtualLine):
        pressed = 0.0

        async def play(self, paths, escape_digits):
            if self.pressed:
                gaps.append(time.perf_counter() - self.pressed)
            played = await super().play(paths, escape_digits)
            self.pressed = time.perf_counter() if isinstance(played, Played) and played.digit else 0.0
            return played

        async def digit(self, timeout_s):
            heard = await super().digit(timeout_s)
            self.pressed = time.perf_counter()
            return heard

    for _ in range(30):
        line = Timed(("menu-main", "9"), *PROOF, ("menu-after-status", "1"), ("menu-after-status", "0"))
        await made.run(line, did=DID, ani="138", interaction_id="n1-1.1")
    assert len(gaps) > 100
    assert median(gaps) < 0.010, f"{median(gaps) * 1000:.2f} ms"


async def test_keys_are_bounded_in_number() -> None:
    line = VirtualLine(("x", "5" * 500))
    line._keys = ["5"] * 500
    got = await collect(line, Collect((), "en", 12, "#", ahead="5"), [])
    assert isinstance(got, Keys) and got.too_many and len(got.text) <= 21
    assert len(line.waits) == MOST


def test_a_flow_with_an_error_leaves_the_old_one_in_place() -> None:
    events = Events()
    catalogue = FlowCatalogue({DID: "sample"}, events, ManualClock(AT), known=KNOWN)
    first = catalogue.publish_file(SAMPLE)
    with pytest.raises(FlowRefused, match=r"sample.yaml:\d+: node 'welcome'") as told:
        catalogue.publish(SAMPLE.read_text(encoding="utf-8").replace("[welcome]", "[nothing-here]"), "sample.yaml")
    assert told.value.status == 422 and len(told.value.issues) == 1
    assert catalogue.for_did(DID) is first and catalogue.current("sample") is first
    assert catalogue.publish_file(SAMPLE).version == first.version
    assert [event.version for event in events.of(FlowPublished)] == [first.version]
    assert catalogue.for_did("nobody") is None


def test_versions_are_kept_for_calls_that_are_on_them_and_not_for_ever() -> None:
    catalogue = FlowCatalogue({}, Events(), ManualClock(AT), known=KNOWN, default="sample")
    text = SAMPLE.read_text(encoding="utf-8")
    versions = [catalogue.publish(f"{text}# {n}\n", "s.yaml").version for n in range(25)]
    assert catalogue.version("sample", versions[0]) is None
    assert catalogue.version("sample", versions[-2]) is not None
    assert catalogue.for_did("anything") is catalogue.version("sample", versions[-1])


def test_a_file_that_cannot_be_read_is_refused(tmp_path) -> None:
    catalogue = FlowCatalogue({}, Events(), ManualClock(AT))
    with pytest.raises(FlowRefused, match="cannot be read"):
        catalogue.publish_file(tmp_path / "none.yaml")


async def test_the_plain_ports() -> None:
    made, _, _ = runner()
    assert await NoSessions().last("x") is None
    assert await CommonBox().refusal("") == ""
    queues = KnownQueues(frozenset({"service"}))
    made._handoff = queues
    line = VirtualLine(("menu-main", "0"))
    assert (await made.run(line, did=DID, ani="", interaction_id="x")).exit == "handoff"
