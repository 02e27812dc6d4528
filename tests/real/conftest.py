"""The real tier: what it needs beyond the packages is fetched once into the cache."""

import pytest

from recordings.model_install import install
from recordings.models import SpeechModel


@pytest.fixture(scope="session")
def english_model() -> SpeechModel:
    """The English speech model: found in the cache, or fetched into it."""
    return install("en")
