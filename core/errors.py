"""What an error looks like to whoever caused it: a stable id, one sentence, and what to do next.

Does not decide how it is shown: `core/http` makes problem+json of it, the command line makes one line of it.
"""

from __future__ import annotations


class AftercallError(Exception):
    """An error with a stable id that clients may rely on (`core:not-found`); `status` is the HTTP status it maps to."""

    def __init__(self, error_id: str, message: str, *, hint: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class NotFound(AftercallError):
    """The thing named does not exist, or not for the one who asks."""

    def __init__(self, what: str, key: str) -> None:
        super().__init__(f"core:{what.replace(' ', '-')}-not-found", f"There is no {what} '{key}'.", status=404)


class Refused(AftercallError):
    """The one who asks may not do this."""

    def __init__(self, message: str, *, error_id: str = "core:refused", status: int = 403) -> None:
        super().__init__(error_id, message, status=status)


class Unavailable(AftercallError):
    """Something we depend on does not answer in its time; the request may be repeated later."""

    def __init__(self, what: str, message: str = "") -> None:
        super().__init__(
            f"core:{what}-unavailable",
            message or f"The {what} is not available now.",
            hint="Try again in a moment.",
            status=503,
        )


class BadInput(AftercallError):
    """The caller's input cannot be used; nothing was done."""

    def __init__(self, error_id: str, message: str, *, hint: str = "") -> None:
        super().__init__(error_id, message, hint=hint, status=422)
