"""SIP messages as values (RFC 3261 §7), and the digest answer (RFC 2617). Knows no sockets and no calls."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
}


@dataclass
class Message:
    """`start` is the first line; headers keep their order and their repetition."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/")

    @property
    def method(self) -> str:
        """The request's method, or for a response the method its CSeq names."""
        return self.start.split(" ", 1)[0] if self.is_request else self.get("cseq").split()[-1]

    @property
    def status(self) -> int:
        return 0 if self.is_request else int(self.start.split(" ", 2)[1])

    def get(self, name: str) -> str:
        """The first header of that name, or ""."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def encode(self) -> bytes:
        lines = [self.start, *(f"{key}: {value}" for key, value in self.headers)]
        body = self.body.encode()
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def parse(data: bytes) -> Message | None:
    """The message in a datagram; None for keep-alives and for what is no SIP."""
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    lines = head.split("\r\n")
    if "SIP/2.0" not in lines[0]:
        return None
    headers = []
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() != "content-length":
            headers.append((COMPACT.get(key.strip().lower(), key.strip()), value.strip()))
    return Message(lines[0], headers, body)


def uri_of(value: str) -> str:
    """The URI inside `"Name" <sip:…>;tag=…`."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value.split(";")[0].strip()


def tag_of(value: str) -> str:
    found = re.search(r";tag=([^;>]+)", value)
    return found.group(1) if found else ""


def digest(challenge: str, *, method: str, uri: str, user: str, password: str, cnonce: str) -> str:
    """The value of (Proxy-)Authorization that answers `challenge`."""
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge.partition(" ")[2]))
    algorithm = fields.get("algorithm", "MD5")
    hasher = hashlib.sha256 if algorithm.upper().startswith("SHA-256") else hashlib.md5

    def h(text: str) -> str:
        return hasher(text.encode()).hexdigest()

    ha1, ha2 = h(f"{user}:{fields['realm']}:{password}"), h(f"{method}:{uri}")
    parts = {"username": user, "realm": fields["realm"], "nonce": fields["nonce"], "uri": uri}
    if "qop" in fields:
        response = h(f"{ha1}:{fields['nonce']}:00000001:{cnonce}:auth:{ha2}")
        extra = f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    else:
        response, extra = h(f"{ha1}:{fields['nonce']}:{ha2}"), ""
    if "opaque" in fields:
        extra += f', opaque="{fields["opaque"]}"'
    quoted = ", ".join(f'{key}="{value}"' for key, value in parts.items())
    return f'Digest {quoted}, response="{response}", algorithm={algorithm}{extra}'


def sdp(host: str, port: int, *, direction: str = "sendrecv", version: int = 1) -> str:
    """An offer or answer with A-law, µ-law and RFC 4733 digits."""
    lines = [
        "v=0", f"o=- 1 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        f"m=audio {port} RTP/AVP 8 0 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", f"a={direction}", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


def remote_media(body: str) -> tuple[str, int, int] | None:
    """(host, port, payload type) from an SDP body; None without audio."""
    host = re.search(r"^c=IN IP4 (\S+)", body, re.M)
    audio = re.search(r"^m=audio (\d+) \S+ (.+)$", body, re.M)
    if not host or not audio:
        return None
    codec = next((int(code) for code in audio.group(2).split() if code in ("0", "8")), 8)
    return host.group(1), int(audio.group(1)), codec
