"""Pictures as providers take them: known by their first bytes, not by what somebody said they are.

PURE. A provider rejects a whole request for one broken or mislabelled picture, and a history keeps its pictures, so
what cannot be shown is told in words instead.
"""

import base64
import binascii
from dataclasses import dataclass

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_HEIF_BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes and what they are."""

    data: bytes
    media_type: str


def recognised(data: bytes) -> Picture | None:
    """The picture in these bytes, if it is of a kind that some model can see."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return Picture(data, media_type)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Picture(data, "image/webp")
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return Picture(data, _HEIF_BRANDS[data[8:12]])
    return None


def from_base64(text: str) -> Picture | None:
    """The picture in this base64 text."""
    try:
        return recognised(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def from_data_url(url: str) -> Picture | None:
    """The picture in this `data:` address (RFC 2397)."""
    head, comma, data = url.removeprefix("data:").partition(",")
    return from_base64(data) if comma and "base64" in head.split(";")[1:] else None


def untold(reason: str) -> str:
    """What the model reads in place of a picture."""
    return f"[A picture that cannot be shown: {reason}.]"
