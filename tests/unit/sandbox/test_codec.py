"""Messages of the data channel: their encoding, and the changes that are detected."""

from __future__ import annotations

import dataclasses
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmgate.sandbox.channel import codec, payloads
from ssmgate.sandbox.channel.codec import (
    AgentMessage,
    CodecError,
    MessageType,
    PayloadType,
    decode,
    encode,
)
from ssmgate.sandbox.channel.payloads import (
    ChannelClosed,
    Flag,
    HandshakeComplete,
    HandshakeRequest,
    HandshakeResponse,
    OpenDataChannel,
    Size,
)

HEADER = 120
# What is said of a change -> its field's first byte and the one after its last.
SEEN = {
    "a header of": (0, 4),
    "message type": (4, 36),
    "schema version": (36, 40),
    "does not match its digest": (80, 112),
    "a payload of": (116, 120),
}
UNSEEN = {
    "created": (40, 48),
    "sequence_number": (48, 56),
    "flags": (56, 64),
    "message_id": (64, 80),
    "payload_type": (112, 116),
}

messages = st.builds(
    AgentMessage,
    message_type=st.sampled_from(MessageType),
    sequence_number=st.integers(0, 2**63 - 1),
    payload_type=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=300),
    created=st.integers(1, 2**64 - 1),
    flags=st.integers(0, 2**64 - 1),
    message_id=st.uuids(allow_nil=True),
)
texts = st.text(max_size=40)


def test_fields_cover_whole_header() -> None:
    covered = sorted((*SEEN.values(), *UNSEEN.values()))
    assert [start for start, _ in covered] == [0, *(end for _, end in covered[:-1])]
    assert covered[-1][1] == HEADER


@given(messages)
def test_messages_round_trip(message: AgentMessage) -> None:
    assert decode(encode(message)) == message


@given(messages, st.data())
def test_detects_change_of_checked_field(message: AgentMessage, data: st.DataObject) -> None:
    field_name = data.draw(st.sampled_from(sorted(SEEN)))
    frame = changed(encode(message), *SEEN[field_name], data)
    with pytest.raises(CodecError, match=field_name):
        decode(frame)


@given(messages.filter(lambda m: m.payload), st.data())
def test_detects_change_of_payload(message: AgentMessage, data: st.DataObject) -> None:
    frame = encode(message)
    frame = changed(frame, HEADER, len(frame), data)
    with pytest.raises(CodecError, match="does not match its digest"):
        decode(frame)


@given(messages, st.sampled_from(sorted(UNSEEN)), st.data())
def test_change_of_other_field_changes_only_that_field(
    message: AgentMessage, name: str, data: st.DataObject
) -> None:
    frame = changed(encode(message), *UNSEEN[name], data)
    if frame[48] & 0x80 or frame[40:48] == bytes(8):
        with pytest.raises(CodecError, match=r"sequence number -|no creation date"):
            decode(frame)
        return
    other = decode(frame)
    assert encode(other) == frame
    assert getattr(other, name) != getattr(message, name)
    assert dataclasses.replace(other, **{name: getattr(message, name)}) == message


@given(messages, st.data())
def test_detects_wrong_length(message: AgentMessage, data: st.DataObject) -> None:
    frame = encode(message)
    short = frame[: data.draw(st.integers(0, len(frame) - 1))]
    with pytest.raises(CodecError, match=r"malformed message|a payload of"):
        decode(short)
    long = frame + data.draw(st.binary(min_size=1, max_size=8))
    with pytest.raises(CodecError, match="a payload of"):
        decode(long)


@given(st.binary(max_size=400))
def test_decoded_message_encodes_to_same_bytes(frame: bytes) -> None:
    try:
        message = decode(frame)
    except CodecError:
        return
    assert encode(message) == frame


def changed(frame: bytes, start: int, end: int, data: st.DataObject) -> bytes:
    """Return the frame with at least one bit from `start` to `end` inverted."""
    length = end - start
    bits = data.draw(st.integers(1, 2 ** (8 * length) - 1))
    other = int.from_bytes(frame[start:end]) ^ bits
    return frame[:start] + other.to_bytes(length) + frame[end:]


def test_layout_is_that_of_session_manager_plugin() -> None:
    """Compares byte by byte with session-manager-plugin, which swaps the halves of the id."""
    message = AgentMessage(
        MessageType.INPUT_STREAM_DATA, 7, PayloadType.OUTPUT, b"abc", 0x0102030405060708,
        codec.SYN | codec.FIN, uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
    )  # fmt: skip
    assert encode(message).hex() == "".join(
        (
            "00000074",
            b"input_stream_data               ".hex(),
            "00000001",
            "0102030405060708",
            "0000000000000007",
            "0000000000000003",
            "8899aabbccddeeff0011223344556677",
            # printf abc | sha256sum
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "00000001",
            "00000003",
            "616263",
        )
    )


# What is inside

contents = st.one_of(
    st.builds(HandshakeRequest, texts, texts, st.dictionaries(texts, texts, max_size=3)),
    st.builds(HandshakeResponse, texts, st.lists(texts, max_size=3).map(tuple)),
    st.builds(HandshakeComplete, st.integers(0, 10**6).map(float), texts),
    st.builds(Size, st.integers(0, 65535), st.integers(0, 65535)),
)


@given(contents)
def test_contents_round_trip(
    content: HandshakeRequest | HandshakeResponse | HandshakeComplete | Size,
) -> None:
    assert type(content).read(content.payload()) == content


@given(st.builds(OpenDataChannel, texts, texts, texts))
def test_opening_round_trips_and_hides_its_token(opening: OpenDataChannel) -> None:
    assert OpenDataChannel.read(opening.text()) == opening
    assert "token" not in repr(opening)
    assert set(json.loads(opening.text())) == {
        "MessageSchemaVersion", "RequestId", "TokenValue", "ClientId", "ClientVersion",
    }  # fmt: skip


@given(st.builds(ChannelClosed, texts, texts, texts), st.integers(1, 2**63))
def test_end_round_trips(closed: ChannelClosed, created: int) -> None:
    message = decode(closed.frame(created))
    assert message.message_type is MessageType.CHANNEL_CLOSED
    assert ChannelClosed.read(message.payload) == closed


@given(messages)
def test_acknowledgement_names_its_message(message: AgentMessage) -> None:
    answer = decode(payloads.acknowledge(message, 1))
    assert answer.message_type is MessageType.ACKNOWLEDGE
    assert payloads.acknowledged(answer.payload) == message.sequence_number
    acknowledgement = json.loads(answer.payload)
    assert acknowledgement["AcknowledgedMessageId"] == str(message.message_id)
    assert acknowledgement["AcknowledgedMessageType"] == message.message_type


@pytest.mark.parametrize("flag", Flag)
def test_flag_has_four_bytes(flag: Flag) -> None:
    assert payloads.flag_payload(flag) == bytes((0, 0, 0, flag))
    assert payloads.read_flag(payloads.flag_payload(flag)) is flag


@pytest.mark.parametrize(
    ("read", "payload"),
    [
        (OpenDataChannel.read, b"{"),
        (OpenDataChannel.read, b"[]"),
        (OpenDataChannel.read, b"\xff"),
        (OpenDataChannel.read, b"[" * 100_000),
        (OpenDataChannel.read, b'{"TokenValue": 1, "ClientId": "a", "ClientVersion": "1"}'),
        (payloads.acknowledged, b'{"AcknowledgedMessageSequenceNumber": true}'),
        (payloads.acknowledged, b'{"AcknowledgedMessageSequenceNumber": "1"}'),
        (HandshakeRequest.read, b'{"AgentVersion": "1", "RequestedClientActions": []}'),
        (
            HandshakeRequest.read,
            b'{"AgentVersion": "1", "RequestedClientActions": [{"ActionType": "KMSEncryption"}]}',
        ),
        (HandshakeResponse.read, b'{"ClientVersion": "1", "Errors": 1}'),
        (HandshakeComplete.read, b"{}"),
        (ChannelClosed.read, b"{}"),
        (Size.read, b'{"cols": -1, "rows": 1}'),
        (Size.read, b'{"cols": 1, "rows": 65536}'),
        (payloads.read_flag, b"\0\0\0\x09"),
        (payloads.read_flag, b"\x01"),
    ],
)
def test_rejects_invalid_contents(read: object, payload: bytes) -> None:
    assert callable(read)
    with pytest.raises(CodecError, match=r"."):
        read(payload)
