"""One SIP call of the softphone: its dialog, its media, and what happened when (RFC 3261 §12–15)."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from app.softphone.media import Media
from app.softphone.message import Message, remote_media, sdp, tag_of, uri_of

if TYPE_CHECKING:
    from app.softphone.phone import Softphone

REASONS = {180: "Ringing", 200: "OK", 486: "Busy Here", 603: "Decline", 480: "Temporarily Unavailable"}


class Call:
    """States: trying → ringing → talking → ended. `at` has the loop time of each, and of the INVITE.

    `status` is the final SIP status; `ended_by` is "us" or "them".
    """

    def __init__(self, phone: Softphone, media: Media, call_id: str, *, incoming: Message | None = None) -> None:
        self.phone = phone
        self.media = media
        self.call_id = call_id
        self.invite = incoming
        self.state = "trying"
        self.status = 0
        self.ended_by = ""
        self.at: dict[str, float] = {"invite": phone.loop.time()}
        self.local_tag = secrets.token_hex(5)
        self.remote_tag = tag_of(incoming.get("from")) if incoming else ""
        self.remote_uri = uri_of(incoming.get("contact")) if incoming else ""
        self.local = self.remote = ""
        self.cseq = 1
        self.routes: list[str] = []
        self.branch = ""
        self._sdp_version = 1
        self._waiters: list[tuple[frozenset[str], asyncio.Future[str]]] = []

    def header(self, name: str) -> str:
        """A header of the INVITE that came in (X-Aftercall-…, From)."""
        return self.invite.get(name) if self.invite else ""

    # --- waiting for what happens

    async def until(self, *states: str, timeout_s: float = 10.0) -> str:
        """The state, once it is one of `states`. Raises TimeoutError; an ended call ends every wait."""
        wanted = frozenset(states) | {"ended"}
        if self.state in wanted:
            return self.state
        future: asyncio.Future[str] = self.phone.loop.create_future()
        self._waiters.append((wanted, future))
        async with asyncio.timeout(timeout_s):
            return await future

    def become(self, state: str) -> None:
        if self.state == "ended" or self.state == state:
            return
        self.state = state
        self.at.setdefault(state, self.phone.loop.time())
        for wanted, future in self._waiters:
            if state in wanted and not future.done():
                future.set_result(state)
        self._waiters = [(w, f) for w, f in self._waiters if not f.done()]

    # --- what a person does with a phone

    def ring(self) -> None:
        self.reply(180)
        self.become("ringing")

    def answer(self) -> None:
        """Picks up an incoming call."""
        assert self.invite is not None
        self.reply(200, body=sdp(self.phone.host, self.media.port))
        self._start_media(self.invite.body)
        self.become("talking")

    def reject(self, status: int = 486) -> None:
        self.reply(status)
        self._end("us", status)

    def hang_up(self) -> None:
        """Ends the call in whatever state it is."""
        if self.state == "talking":
            self.phone.request_in(self, "BYE")
            self._end("us", 200)
        elif self.state in ("trying", "ringing"):
            if self.invite is not None:
                self.reject(603)
            else:
                self.phone.cancel(self)

    def vanish(self) -> None:
        """Stops without a word, as a phone does whose cable is pulled."""
        self._end("us", 0)

    def hold(self, on: bool = True) -> None:
        self._sdp_version += 1
        direction = "sendonly" if on else "sendrecv"
        body = sdp(self.phone.host, self.media.port, direction=direction, version=self._sdp_version)
        self.phone.request_in(self, "INVITE", body=body)

    def refer(self, target: str) -> None:
        """Blind transfer by REFER."""
        self.phone.request_in(self, "REFER", headers=[("Refer-To", f"<{target}>")])

    # --- what the phone tells us

    def reply(self, status: int, *, body: str = "", to: Message | None = None) -> None:
        request = to or self.invite
        assert request is not None
        self.phone.respond(request, status, REASONS.get(status, "OK"), tag=self.local_tag, body=body)

    def on_response(self, message: Message) -> None:
        """A response to our INVITE."""
        status = message.status
        if tag_of(message.get("to")):
            self.remote_tag = tag_of(message.get("to"))
        if 180 <= status < 200:
            self.become("ringing")
        elif 200 <= status < 300:
            self.remote_uri = uri_of(message.get("contact")) or self.remote_uri
            self.routes = list(reversed(message.all("record-route")))
            self.phone.ack(self, message)
            if self.state != "ended":
                self._start_media(message.body)
                self.become("talking")
        elif status >= 300:
            self.phone.ack(self, message)
            self._end("them", status)

    def on_request(self, message: Message) -> None:
        """A request inside the dialog."""
        if message.method == "INVITE":
            self._sdp_version += 1
            self._start_media(message.body)
            held = "a=sendonly" in message.body or "a=inactive" in message.body
            direction = "recvonly" if held else "sendrecv"
            self.reply(200, to=message, body=sdp(self.phone.host, self.media.port, direction=direction))
        elif message.method in ("BYE", "CANCEL"):
            self.reply(200, to=message)
            if message.method == "CANCEL" and self.invite is not None:
                self.phone.respond(self.invite, 487, "Request Terminated", tag=self.local_tag)
            self._end("them", 487 if message.method == "CANCEL" else 200)
        elif message.method != "ACK":
            self.reply(200, to=message)

    def _start_media(self, body: str) -> None:
        where = remote_media(body)
        if where is not None:
            self.media.start(*where)

    def _end(self, by: str, status: int) -> None:
        if self.state == "ended":
            return
        self.ended_by, self.status = by, status
        self.media.stop()
        self.become("ended")
        self.phone.forget(self)

    def lost(self, status: int) -> None:
        self._end("them", status)
