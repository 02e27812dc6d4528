"""Programs of the operator's that menus may ask: POST with a JSON object, answered by a JSON object.

Satisfies `ivr.ports.Webhooks`. Only what stands in the settings can be asked; redirects are not followed, an answer has at most
64 KB. Nothing is sent twice: a webhook may do something.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import aiohttp

from core.errors import AftercallError
from core.settings import WebhookSettings

CAP_BYTES = 64 * 1024


class HookError(AftercallError):
    """Why a webhook's answer cannot be used."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("app:webhook", message, hint=hint)


class AllowedHooks:
    """By name, as the operator allows them."""

    def __init__(self, allowed: Mapping[str, WebhookSettings]) -> None:
        self._allowed = allowed

    async def call(
        self, hook: str, values: Mapping[str, str | int | bool | float], deadline_s: float
    ) -> Mapping[str, object]:
        """Raises HookError, TimeoutError, or what aiohttp raises for a broken line."""
        allowed = self._allowed.get(hook)
        if allowed is None:
            raise HookError(f"No webhook '{hook}' is allowed.", f"Write webhooks.{hook}.url into the settings.")
        headers = {"Authorization": f"Bearer {allowed.token.get_secret_value()}"} if allowed.token else {}
        timeout = aiohttp.ClientTimeout(total=deadline_s)
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.post(allowed.url, json=dict(values), headers=headers, allow_redirects=False) as response,
        ):
            return _object(hook, response.status, await _body(hook, response))


async def _body(hook: str, response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > CAP_BYTES:
            raise HookError(f"The answer of the webhook '{hook}' is too big.", f"{CAP_BYTES} bytes are the most.")
    return bytes(body)


def _object(hook: str, status: int, body: bytes) -> Mapping[str, object]:
    if status != 200:
        raise HookError(f"The webhook '{hook}' answered {status}.", "Let it answer 200 when it has done its part.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HookError(f"The webhook '{hook}' did not answer with a JSON object.", 'Let it answer {} or {"name": 1}.')
    return found
