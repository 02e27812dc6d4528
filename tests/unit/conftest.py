"""The unit tier: rules and fakes. No test here opens a network socket; whoever tries fails."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)  # event loops talk to themselves over a socket pair
    yield
    enable_socket()
