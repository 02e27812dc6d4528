"""Without a published policy the rules are what the settings say, and they can be shown as a text."""

from __future__ import annotations

from app.routing_policy import document_of, policy_of
from core.settings import QueueSettings, Settings
from routing.policy.document import Known
from routing.policy.text import load, to_text


def test_what_the_settings_say_can_be_shown_and_published_whatever_they_say() -> None:
    for queues in (
        Settings().queues, {}, {"a": QueueSettings(wrap_up_s=3600, max_misses=10, max_wait_s=0, overflow_to="closing")},
    ):  # fmt: skip
        settings = Settings(queues=queues)
        document = document_of(settings)
        assert document.policy == policy_of(settings)
        assert load(to_text(document), known=Known(skills=frozenset(), teams=frozenset())) == document
