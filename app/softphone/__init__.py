"""A small SIP softphone: what the demo, synthetic test calls, tests and benches dial in and answer with."""

from app.softphone.call import Call
from app.softphone.media import Media
from app.softphone.phone import Softphone

__all__ = ["Call", "Media", "Softphone"]
