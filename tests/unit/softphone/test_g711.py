import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.softphone import g711


@pytest.mark.parametrize("payload_type", [0, 8])
def test_every_code_survives_decoding_and_encoding(payload_type: int) -> None:
    codes = bytes(range(256))
    levels = g711.decode(codes, payload_type)
    assert np.array_equal(g711.decode(g711.encode(levels, payload_type), payload_type), levels)


@pytest.mark.parametrize(
    ("payload_type", "code", "level"),
    [(0, 0xFF, 0), (0, 0x80, 32124), (0, 0x00, -32124), (8, 0xD5, 8), (8, 0xAA, 32256)],
)
def test_known_codes_have_the_levels_of_the_recommendation(payload_type: int, code: int, level: int) -> None:
    assert int(g711.decode(bytes([code]), payload_type)[0]) == level


@given(st.integers(-32768, 32767), st.sampled_from([0, 8]))
def test_the_error_of_a_sample_is_small_against_its_size(sample: int, payload_type: int) -> None:
    back = int(g711.decode(g711.encode(np.array([sample], dtype=np.int16), payload_type), payload_type)[0])
    assert abs(back - sample) <= max(16, abs(sample) // 16)
