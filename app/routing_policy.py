"""The rules of routing while none were ever published: what the settings say of the queues."""

from __future__ import annotations

from core.settings import Settings
from routing.policy.document import Document
from routing.policy.model import Overflow, Policy, QueuePolicy


def policy_of(settings: Settings) -> Policy:
    return Policy({
        name: QueuePolicy(
            name, {name: 1}, settings.asterisk.ring_s, rules.wrap_up_s, rules.max_misses, rules.max_wait_s,
            {"timeout": Overflow(rules.overflow_to)}, whisper=rules.whisper,
        )
        for name, rules in settings.queues.items()
    })  # fmt: skip


def document_of(settings: Settings) -> Document:
    """The same as a document, so that it can be shown as a text; each queue's own skill is declared in it."""
    return Document(policy_of(settings), skills=frozenset(settings.queues))
