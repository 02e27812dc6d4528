"""The console's sources fit together: types, and a text in every language for every text there is."""

from __future__ import annotations

from app import console_build


def test_types_hold_and_every_language_has_every_text() -> None:
    console_build.check()
