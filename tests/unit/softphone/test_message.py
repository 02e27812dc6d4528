from app.softphone import message
from app.softphone.message import Message


def test_a_message_survives_encoding_and_parsing() -> None:
    sent = Message("INVITE sip:1@h SIP/2.0", [("Via", "a"), ("Via", "b"), ("CSeq", "1 INVITE")], "v=0\r\n")
    got = message.parse(sent.encode())
    assert got is not None
    assert (got.start, got.all("via"), got.body, got.method) == (sent.start, ["a", "b"], "v=0\r\n", "INVITE")


def test_compact_headers_are_read_by_their_long_names() -> None:
    got = message.parse(b"BYE sip:1@h SIP/2.0\r\ni: abc\r\nf: <sip:x@y>;tag=77\r\n\r\n")
    assert got is not None
    assert (got.get("call-id"), message.tag_of(got.get("from"))) == ("abc", "77")


def test_what_is_no_sip_is_no_message() -> None:
    assert message.parse(b"\r\n\r\n") is None
    assert message.parse(b"\xff\xfe\x00") is None


def test_the_digest_of_the_example_in_rfc_2617() -> None:
    challenge = (
        'Digest realm="testrealm@host.com", qop="auth", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
        ' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    value = message.digest(
        challenge, method="GET", uri="/dir/index.html", user="Mufasa", password="Circle Of Life", cnonce="0a4f113b"
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in value


def test_media_is_found_in_an_answer_whatever_the_order_of_codecs() -> None:
    body = "v=0\r\nc=IN IP4 10.1.2.3\r\nm=audio 4000 RTP/AVP 101 0 8\r\n"
    assert message.remote_media(body) == ("10.1.2.3", 4000, 0)
    assert message.remote_media("v=0\r\n") is None
