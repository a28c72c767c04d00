"""The embedder that comes with the install: WordLlama's weights and tokenizer, read straight from its wheel.

A text is the mean of its tokens' vectors, made unit length: no attention, no order of words, but 0.1 ms and no network.
Its own loader would ask the network for a tokenizer that the wheel holds, and import far more than is needed, so the
two files are opened directly. Imported on first use, because numpy and the tokenizer take half a second.
"""

import struct
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from tokenizers import Tokenizer

from loci.errors import NotAvailable

DIMENSIONS = 256
TEXT_CHARS_MAX = 200_000

_WEIGHTS = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_TENSOR = "embedding.weight"


class WordLlama:
    """The weights, mapped from the file, and the tokenizer. Safe to use from several threads."""

    def __init__(self) -> None:
        folder = _folder()
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._vectors = _mapped(folder / _WEIGHTS)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of unit length a text. A text without any token gets the first axis."""
        return [self._one(text[:TEXT_CHARS_MAX]).tolist() for text in texts]

    def _one(self, text: str) -> NDArray[np.float32]:
        clean = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        rows = self._vectors[[number for number in ids if number < len(self._vectors)]]
        mean = rows.sum(axis=0, dtype=np.float32)
        length = float(np.linalg.norm(mean))
        if length == 0.0:
            mean[0] = length = 1.0
        return mean / np.float32(length)


def _folder() -> Path:
    found = find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise NotAvailable("The built-in embedder is not installed.", hint="Install the package 'wordllama'.")
    return Path(found.submodule_search_locations[0])


def _mapped(path: Path) -> NDArray[np.float16]:
    """The one tensor of a safetensors file: eight bytes with the length of a JSON header, the header, the numbers."""
    with path.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        header = orjson.loads(file.read(header_bytes))[_TENSOR]
    rows, columns = header["shape"]
    assert header["dtype"] == "F16"
    assert columns == DIMENSIONS
    start = 8 + header_bytes + header["data_offsets"][0]
    return np.memmap(path, dtype=np.float16, mode="r", offset=start, shape=(rows, columns))
