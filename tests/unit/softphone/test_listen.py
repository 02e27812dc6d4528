import numpy as np

from app.softphone import listen


def test_a_known_sound_is_found_at_its_place_in_noise() -> None:
    rng = np.random.default_rng(7)
    known = (rng.normal(size=4000) * 4000).astype(np.int16)
    sound = (rng.normal(size=40_000) * 800).astype(np.int16)
    sound[12_000:16_000] += known
    found = listen.find(sound, known)
    assert found.likeness > 0.9
    assert abs(found.at_s - 1.5) < 0.001


def test_a_sound_that_is_not_there_is_not_found() -> None:
    rng = np.random.default_rng(8)
    known = (rng.normal(size=4000) * 4000).astype(np.int16)
    assert listen.find((rng.normal(size=40_000) * 800).astype(np.int16), known).likeness < 0.2
    assert listen.find(np.zeros(40_000, dtype=np.int16), known).likeness == 0.0


def test_a_tone_is_told_from_another() -> None:
    sound = listen.tone(440, 0.5)
    assert listen.tone_level(sound, 440) > 0.95
    assert listen.tone_level(sound, 600) < 0.01
