"""Pictures in messages, checked before they are stored: one that no provider can read would spoil every later turn."""

import base64
import binascii
import re
from collections.abc import Mapping

from loci.errors import Unprocessable
from loci.types.messages import Image

_DATA_URL = re.compile(r"data:(?P<type>[\w/+.-]*)(?:;[\w=-]+)*;base64,(?P<data>.*)", re.DOTALL)
_MARKS: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
)
"""How the formats that every provider takes begin, and where."""


def checked_picture(source: Mapping[str, object] | None) -> Image:
    """The picture in an image part. Raises Unprocessable when no provider could read it."""
    fields = source or {}
    detail = fields.get("detail")
    data, url = fields.get("data"), fields.get("url")
    if isinstance(data, str):
        return _from_base64(data, detail if isinstance(detail, str) else None)
    if not isinstance(url, str):
        raise Unprocessable("An image needs a source with 'url' or with base64 'data'.")
    inline = _DATA_URL.fullmatch(url)
    if inline:
        return _from_base64(inline["data"], None)
    if not url.lower().startswith(("https://", "http://")):
        raise Unprocessable("The URL of an image must begin with https://, http:// or data:.")
    return Image(url=url)


def _from_base64(data: str, detail: str | None) -> Image:
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unprocessable("The data of an image is not valid base64.") from error
    for mark, offset, media_type in _MARKS:
        if content.startswith(mark, offset):
            return Image(media_type=media_type, data=data, detail=detail)
    raise Unprocessable("An image must be a PNG, JPEG, GIF or WebP file.")
