"""Parse numbers, dates, addresses, booleans and binary values of conditions.

Each `read_…` returns None for a text of another type. Where IAM's documentation does not specify
the accepted spellings, they are those observed from IAM.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_EPOCH = re.compile(r"[+-]?[0-9]+")
# W3C's profile of ISO 8601. IAM also accepts a time without a zone, which is UTC.
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?"
)
_PREFIX = re.compile(r"\+?[0-9]+")
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


def read_number(text: str) -> Decimal | None:
    """Return an integer or decimal of any size, exactly. NaN and infinities are not accepted."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def read_date(text: str) -> int | None:
    """Return milliseconds since 1970; smaller fractions are dropped. Digits are epoch seconds.

    Four digits are rejected: they could be a year (W3C) or epoch seconds.
    """
    if _EPOCH.fullmatch(text):
        return None if len(text) == 4 else int(text) * 1000 if len(text) < 20 else None
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    milliseconds = (moment - _EPOCH_START) // timedelta(milliseconds=1)
    milliseconds += int((fraction or "")[:3].ljust(3, "0"))
    if zone and zone != "Z":
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60_000
        milliseconds += offset if zone[0] == "-" else -offset
    return milliseconds


def read_bool(text: str) -> bool:
    """Return True for `true` in any case, False for every other text, including `yes`."""
    return text.lower() == "true"


def read_binary(text: str) -> bytes | None:
    """Return the bytes of canonical base64, which includes its padding."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def read_address(text: str) -> Address | None:
    """Return an IPv4 or IPv6 address. Numbers with leading zeros are decimal, as in IAM."""
    octets = text.split(".")
    if len(octets) == 4 and all(re.fullmatch(r"[0-9]+", octet) for octet in octets):
        text = ".".join(str(int(octet)) if len(octet) < 10 else octet for octet in octets)
    try:
        # A zone (fe80::1%eth0) is not part of an address in a request.
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def read_network(text: str) -> Network | None:
    """Return a CIDR range, or a range of one address. Bits beyond the prefix are dropped."""
    host, slash, prefix = text.partition("/")
    address = read_address(host)
    if address is None or (slash and not _PREFIX.fullmatch(prefix)):
        return None
    length = int(prefix) if slash and len(prefix) < 10 else address.max_prefixlen
    try:
        return ipaddress.ip_network((address, length), strict=False)
    except ValueError:
        return None
