"""What can be given up so that a server takes a request that it refused. PURE.

Copies of the wire differ in what they know: one refuses an optional field by its name, one has a chat template in which
the sides must take turns, one cannot see or cannot load a picture. A history must never make an agent unusable, so each
of these is worth a second try.
"""

import re
from typing import NamedTuple

from loci.errors import ModelFault
from loci.model.base import Failed
from loci.model.chat_encode import PICTURES, TURNS, Encoded

OPTIONAL_FIELDS = (
    "stream_options",
    "parallel_tool_calls",
    "temperature",
    "reasoning_effort",
    "max_tokens",
    "tool_choice",
    "verbosity",
    "user",
)
"""What may be left out without changing what is asked. `max_tokens` is then sent under its newer name."""

_UNKNOWN = re.compile(
    "unsupported|not support|unrecognized|unknown|unexpected|not permitted|not allowed|extra|only supported|at most 0",
    re.IGNORECASE,
)
_TURNS = re.compile(r"roles? must alternate|alternate between|alternating", re.IGNORECASE)
_PICTURE = re.compile(r"image|picture|vision|multimodal|mmproj", re.IGNORECASE)
_NOT_ABOUT_THE_REQUEST = frozenset(
    {
        ModelFault.AUTHENTICATION,
        ModelFault.CREDITS,
        ModelFault.RATE_LIMIT,
        ModelFault.TIMEOUT,
        ModelFault.OVERLOADED,
        ModelFault.CONNECTION,
        ModelFault.CONTEXT_TOO_LONG,
    },
)


class Concession(NamedTuple):
    """What to leave out. `lasting`: the server will refuse it every time, not just this once."""

    what: str
    lasting: bool = True


def concede(refused: Failed, sent: Encoded) -> Concession | None:
    """What to leave out of a request that came back with this failure; None if there is nothing to be done."""
    words = refused.detail
    if refused.http_status is None or refused.fault in _NOT_ABOUT_THE_REQUEST:
        return None
    if _TURNS.search(words):
        return Concession(TURNS)
    unknown = bool(_UNKNOWN.search(words))
    if refused.fault is ModelFault.BAD_REQUEST and unknown:
        for name in OPTIONAL_FIELDS:
            if name in sent.fields and re.search(rf"\b{name}\b", words):
                return Concession(name)
    if _PICTURE.search(words) and any(b'"image_url":' in piece for piece in sent.pieces):
        return Concession(PICTURES, lasting=unknown)
    return None
