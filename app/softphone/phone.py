"""A SIP account on one UDP socket: registers, dials, is dialled (RFC 3261, UDP, digest).

Decides nothing about what is said; `Call` and `Media` do. Needs no task of its own: everything happens in the
socket's callbacks and the loop's timers, so that hundreds of phones fit into one test process.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Self

from app.softphone.call import Call
from app.softphone.media import Media
from app.softphone.message import Message, digest, parse, sdp, tag_of, uri_of

RESEND_S = (0.5, 1.0, 2.0, 4.0, 4.0, 4.0)


class Softphone(asyncio.DatagramProtocol):
    """`async with await Softphone.open(server, user, password) as phone:` closes calls and socket at the end."""

    def __init__(self, server: tuple[str, int], user: str, password: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.server, self.user, self.password = server, user, password
        self.host, self.port = "127.0.0.1", 0
        self.calls: dict[str, Call] = {}
        self.incoming: asyncio.Queue[Call] = asyncio.Queue()
        self.auto_answer = False
        self.auto_ring = True
        self._transport: asyncio.DatagramTransport | None = None
        self._pending: dict[str, tuple[Message, asyncio.TimerHandle | None]] = {}
        self._plain: dict[str, asyncio.Future[Message]] = {}
        self._answers: dict[str, bytes] = {}
        self._opening: set[str] = set()
        self._media_ready: list[Media] = []
        self._registered_as = ("", 0)
        self._again: asyncio.TimerHandle | None = None
        self._registering: asyncio.Task[None] | None = None
        self._closing = False
        self.unplugged = False  # the cable is out: nothing is heard and nothing is said

    @classmethod
    async def open(cls, server: tuple[str, int], user: str = "", password: str = "", *, spare_media: int = 2) -> Self:
        """`spare_media` sockets are opened beforehand, so that an incoming call can be answered at once."""
        phone = cls(server, user, password)
        host = "127.0.0.1" if server[0] in ("127.0.0.1", "localhost") else "0.0.0.0"
        transport, _ = await phone.loop.create_datagram_endpoint(lambda: phone, local_addr=(host, 0))
        phone._transport = transport
        phone.port = transport.get_extra_info("sockname")[1]
        phone._media_ready = [await Media.open(phone.host) for _ in range(spare_media)]
        return phone

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hangs up what is up and lets go of the sockets. Whoever rings meanwhile is refused."""
        self._closing = True
        if self._again is not None:
            self._again.cancel()
        if self._registering is not None and not self._registering.done():
            self._registering.cancel()
        for call in list(self.calls.values()):
            call.hang_up()
            if call.state != "ended":
                call.vanish()
        if self._registered_as[1] and self._transport is not None:
            try:
                await self.register(0)
            except (TimeoutError, ConnectionError):
                self._registered_as = ("", 0)  # the server is gone; so is the registration
        for _, timer in self._pending.values():
            if timer is not None:
                timer.cancel()
        self._pending.clear()
        for media in self._media_ready:
            media.stop()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        await asyncio.sleep(0)  # sockets are let go of at the loop's next turn

    def unplug(self) -> None:
        """Pulls the cable: calls stop without a word, and whoever asks gets no answer. `unplugged = False` puts it back."""
        self.unplugged = True
        for call in list(self.calls.values()):
            call.vanish()

    # --- registering

    async def register(self, expires_s: int = 300, *, timeout_s: float = 5.0) -> None:
        """Registers (0 = takes back), and again at half the time, as phones do. Raises ConnectionError with the server's answer
        when refused."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        uri = f"sip:{self.server[0]}:{self.server[1]}"
        call_id, cseq = self._registered_as
        call_id = call_id or secrets.token_hex(8)
        auth: list[tuple[str, str]] = []
        for _ in range(3):
            cseq += 1
            self._registered_as = (call_id, cseq)
            me = f"<sip:{self.user}@{self.server[0]}>"
            request = self._request("REGISTER", uri, me + f";tag={secrets.token_hex(4)}", me, call_id, cseq)
            request.headers += [("Expires", str(expires_s)), *auth]
            future: asyncio.Future[Message] = self.loop.create_future()
            self._plain[f"{call_id} {cseq}"] = future
            self._send_reliably(request)
            async with asyncio.timeout(timeout_s):
                answer = await future
            if answer.status == 200:
                if expires_s and not self._closing:
                    self._again = self.loop.call_later(expires_s / 2, self._register_again, expires_s)
                return
            if answer.status != 401 or (auth and "stale=true" not in answer.get("www-authenticate").lower()):
                raise ConnectionError(f"registration refused: {answer.start}")
            auth = [("Authorization", self._digest(answer, "REGISTER", uri))]
        raise ConnectionError("registration refused")

    def _register_again(self, expires_s: int) -> None:
        async def register() -> None:
            try:
                await self.register(expires_s)
            except (TimeoutError, ConnectionError):  # the server is away: it is asked again until it is back
                if not self._closing:
                    self._again = self.loop.call_later(min(30, expires_s / 2), self._register_again, expires_s)

        self._registering = self.loop.create_task(register())

    # --- calling

    async def call(
        self, target: str, *, from_user: str = "", from_name: str = "", headers: list[tuple[str, str]] | None = None
    ) -> Call:
        """Sends the INVITE to `target` (a number at the server, or a whole URI) and returns at once."""
        media = self._media_ready.pop() if self._media_ready else await Media.open(self.host)
        call = Call(self, media, secrets.token_hex(8))
        uri = target if target.startswith("sip:") else f"sip:{target}@{self.server[0]}:{self.server[1]}"
        name = f'"{from_name}" ' if from_name else ""
        call.local = f"{name}<sip:{from_user or self.user}@{self.host}>;tag={call.local_tag}"
        call.remote, call.remote_uri = f"<{uri}>", uri
        self.calls[call.call_id] = call
        self._invite(call, [*(headers or [])])
        return call

    def _invite(self, call: Call, headers: list[tuple[str, str]]) -> None:
        request = self._request("INVITE", call.remote_uri, call.local, call.remote, call.call_id, call.cseq)
        request.headers += [("Content-Type", "application/sdp"), *headers]
        request.body = sdp(self.host, call.media.port)
        call.branch = request.get("via")
        self._send_reliably(request)

    def cancel(self, call: Call) -> None:
        request = self._request("CANCEL", call.remote_uri, call.local, call.remote, call.call_id, call.cseq)
        request.headers[0] = ("Via", call.branch)
        self._send_reliably(request)

    def ack(self, call: Call, response: Message) -> None:
        uri = call.remote_uri
        request = self._request("ACK", uri, response.get("from"), response.get("to"), call.call_id, 0)
        request.headers = [
            (k, v) if k != "CSeq" else (k, f"{response.get('cseq').split()[0]} ACK") for k, v in request.headers
        ]
        if response.status >= 300:
            request.headers[0] = ("Via", response.get("via"))
        request.headers += [("Route", route) for route in call.routes]
        self._send(request)

    def request_in(
        self, call: Call, method: str, *, body: str = "", headers: list[tuple[str, str]] | None = None
    ) -> None:
        """A request inside the dialog of `call`."""
        call.cseq += 1
        if call.invite is not None:
            local = f"{call.invite.get('to').split(';tag=')[0]};tag={call.local_tag}"
            remote = call.invite.get("from")
        else:
            local, remote = call.local, f"{call.remote};tag={call.remote_tag}"
        request = self._request(method, call.remote_uri, local, remote, call.call_id, call.cseq)
        request.headers += [("Route", route) for route in call.routes] + (headers or [])
        if body:
            request.headers.append(("Content-Type", "application/sdp"))
            request.body = body
        self._send_reliably(request)

    def forget(self, call: Call) -> None:
        self.calls.pop(call.call_id, None)

    # --- the wire

    def _request(self, method: str, uri: str, sender: str, to: str, call_id: str, cseq: int) -> Message:
        via = f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{secrets.token_hex(6)};rport"
        contact = f"<sip:{self.user or 'anonymous'}@{self.host}:{self.port}>"
        headers = [
            ("Via", via), ("Max-Forwards", "70"), ("From", sender), ("To", to), ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"), ("Contact", contact), ("User-Agent", "Aftercall softphone"),
        ]  # fmt: skip
        return Message(f"{method} {uri} SIP/2.0", headers)

    def _digest(self, answer: Message, method: str, uri: str) -> str:
        challenge = answer.get("www-authenticate") or answer.get("proxy-authenticate")
        return digest(
            challenge, method=method, uri=uri, user=self.user, password=self.password, cnonce=secrets.token_hex(8)
        )

    def _send(self, message: Message) -> bytes:
        data = message.encode()
        if self._transport is not None and not self.unplugged:
            self._transport.sendto(data, self.server)
        return data

    def _send_reliably(self, request: Message) -> None:
        """Sends and sends again (timers A/E of RFC 3261) until `_settle` is called for its Call-ID and CSeq."""
        key = f"{request.get('call-id')} {request.get('cseq')}"

        def again(turn: int) -> None:
            self._send(request)
            if turn < len(RESEND_S):
                self._pending[key] = (request, self.loop.call_later(RESEND_S[turn], again, turn + 1))
            else:
                self._pending.pop(key, None)
                call = self.calls.get(request.get("call-id"))
                if call is not None and call.state == "trying":
                    call.lost(408)

        again(0)

    def _settle(self, response: Message) -> Message | None:
        request, timer = self._pending.pop(f"{response.get('call-id')} {response.get('cseq')}", (None, None))
        if timer is not None:
            timer.cancel()
        return request

    def respond(self, request: Message, status: int, reason: str, *, tag: str = "", body: str = "") -> None:
        headers = [("Via", via) for via in request.all("via")]
        headers += [("Record-Route", route) for route in request.all("record-route")]
        to = request.get("to")
        headers += [("From", request.get("from")), ("To", to if tag_of(to) or not tag else f"{to};tag={tag}")]
        headers += [("Call-ID", request.get("call-id")), ("CSeq", request.get("cseq"))]
        headers.append(("Contact", f"<sip:{self.user or 'anonymous'}@{self.host}:{self.port}>"))
        if body:
            headers.append(("Content-Type", "application/sdp"))
        data = self._send(Message(f"SIP/2.0 {status} {reason}", headers, body))
        self._answers[f"{request.get('call-id')} {request.get('cseq')}"] = data
        if len(self._answers) > 2000:
            self._answers.pop(next(iter(self._answers)))

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        message = None if self.unplugged else parse(data)
        if message is None:
            return
        if message.is_request:
            self._on_request(message)
        else:
            self._on_response(message)

    def _on_request(self, message: Message) -> None:
        key = f"{message.get('call-id')} {message.get('cseq')}"
        if message.method == "ACK":
            return
        if key in self._answers:  # sent again: so is our answer
            if self._transport is not None:
                self._transport.sendto(self._answers[key], self.server)
            return
        call = self.calls.get(message.get("call-id"))
        if call is not None:
            if message.method != "INVITE" or tag_of(message.get("to")):
                call.on_request(message)
        elif message.method == "INVITE" and not tag_of(message.get("to")):  # with a tag: of a talk that is over
            self._on_invite(message)
        elif message.method in ("OPTIONS", "NOTIFY"):
            self.respond(message, 200, "OK", tag=secrets.token_hex(4))
        else:
            self.respond(message, 481, "Call/Transaction Does Not Exist", tag=secrets.token_hex(4))

    def _on_invite(self, message: Message) -> None:
        if self._closing or not self._media_ready:
            self.respond(message, 486, "Busy Here", tag=secrets.token_hex(4))
            return
        call = Call(self, self._media_ready.pop(), message.get("call-id"), incoming=message)
        call.remote_uri = uri_of(message.get("contact"))
        call.routes = message.all("record-route")
        self.calls[call.call_id] = call
        self.respond(message, 100, "Trying")
        if self.auto_ring:
            call.ring()
        if self.auto_answer:
            call.answer()
        self.incoming.put_nowait(call)

    async def next_call(self, timeout_s: float = 10.0) -> Call:
        """The next incoming call; opens spare media for the one after. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            call = await self.incoming.get()
        await self.prepare()
        return call

    async def prepare(self) -> None:
        """Opens spare media, so that the next calls can be answered at once."""
        while len(self._media_ready) < 2 and not self._closing:
            self._media_ready.append(await Media.open(self.host))

    def _on_response(self, message: Message) -> None:
        method = message.method
        if method == "INVITE" and message.status == 100:
            request, timer = self._pending.get(f"{message.get('call-id')} {message.get('cseq')}", (None, None))
            if timer is not None:
                timer.cancel()
            return
        request = self._settle(message)
        waiting = self._plain.pop(f"{message.get('call-id')} {message.get('cseq').split()[0]}", None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
            return
        call = self.calls.get(message.get("call-id"))
        if call is None:
            return
        if message.status in (401, 407) and request is not None and _may_try_again(request, message):
            self._authorised(call, request, message)
        elif method == "INVITE":
            if message.status >= 200 and call.state == "talking":
                self.ack(call, message)  # of a re-INVITE, or a repeated 200
            else:
                call.on_response(message)

    def _authorised(self, call: Call, request: Message, challenge: Message) -> None:
        """Sends the request again with the answer to the challenge."""
        method = request.method
        if method == "INVITE":
            self.ack(call, challenge)
        call.cseq += 1
        uri = request.start.split(" ")[1]
        name = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        headers = [(k, v) for k, v in request.headers if k not in ("Via", "CSeq", name)]
        fresh = self._request(method, uri, request.get("from"), request.get("to"), call.call_id, call.cseq)
        kept = [h for h in headers if h[0] not in {k for k, _ in fresh.headers}]
        fresh.headers += [*kept, (name, self._digest(challenge, method, uri))]
        fresh.body = request.body
        if method == "INVITE":
            call.branch = fresh.get("via")
        self._send_reliably(fresh)


def _may_try_again(request: Message, challenge: Message) -> bool:
    """A first challenge, or one that says our answer was right but to an old question."""
    answered = request.get("authorization") or request.get("proxy-authorization")
    asked = challenge.get("www-authenticate") or challenge.get("proxy-authenticate")
    return not answered or "stale=true" in asked.lower()
