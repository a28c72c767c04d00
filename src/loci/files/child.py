"""Reading one file, in a process that may do little: bytes come in, text goes out, and nothing else is to be had.

Behind the walls of the sandbox it is a program like a tool: `read` is called with the document on standard input. Where
nothing isolates, it is a script of its own: `python -I child.py KIND MEMORY_BYTES CPU_S TEXT_BYTES`.
The answer begins with `+` and is the text, or with `-` and says why there is none. A process that just ends was given a
file that is damaged, or that takes more than it is worth.
"""

import contextlib
import io
import os
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

PAGES_MAX = 10_000
UNPACKED_MAX_BYTES = 300_000_000
DEPTH_MAX = 5_000
NICENESS = 10


class Unreadable(Exception):
    """There is no text to be had, for a reason that a person can do something about."""


def read(kind: str, text_bytes: int, packages: list[str]) -> str:
    """The answer for the document on standard input; `packages` are the folders of the libraries."""
    sys.path += packages
    return _answer(kind, text_bytes).decode()


def main(kind: str, memory_bytes: int, cpu_s: int, text_bytes: int) -> NoReturn:
    """Read standard input, write standard output, end."""
    _confine(memory_bytes, cpu_s)
    answer = _answer(kind, text_bytes)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
    os._exit(0)


def _answer(kind: str, text_bytes: int) -> bytes:
    sys.setrecursionlimit(DEPTH_MAX)
    try:
        pieces = {"pdf": _pdf, "docx": _docx, "html": _html}[kind](sys.stdin.buffer.read())
        return b"+" + _joined(pieces, text_bytes)
    except Unreadable as reason:
        return b"-" + str(reason).encode()
    except MemoryError:
        return b"-It takes more memory than reading a file may."
    except RecursionError:
        return b"-It is nested too deeply."


def _confine(memory_bytes: int, cpu_s: int) -> None:
    os.nice(NICENESS)
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        # Not every system knows every limit; the time that the server waits bounds all of them.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def _joined(pieces: Iterator[str], text_bytes: int) -> bytes:
    found: list[bytes] = []
    room = text_bytes
    for piece in pieces:
        found.append(piece.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace"))
        room -= len(found[-1])
        if room < 0:
            raise Unreadable("Its text is longer than this server keeps.")
    return b"".join(found)


def _pdf(data: bytes) -> Iterator[str]:
    from pypdf import PdfReader  # noqa: PLC0415
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("It is protected by a password.")
    if len(reader.pages) > PAGES_MAX:
        raise Unreadable(f"It has more than {PAGES_MAX} pages.")
    words = 0
    for number, page in enumerate(reader.pages, 1):
        try:
            text = page.extract_text().strip()
        except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            text = "[This page could not be read.]"
        words += len(text)
        yield f"[Page {number}]\n{text}\n\n"
    if not words:
        raise Unreadable("It holds no text; perhaps its pages are pictures.")


def _docx(data: bytes) -> Iterator[str]:
    import mammoth  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > UNPACKED_MAX_BYTES:
            raise Unreadable("It is much larger when unpacked than a document may be.")
        if "word/document.xml" not in archive.namelist():
            raise Unreadable("It is an archive, but no DOCX document.")
    convert = cast("Callable[..., Any]", mammoth.convert_to_html)  # pyright: ignore[reportUnknownMemberType]
    yield from _html(str(convert(io.BytesIO(data), convert_image=_no_image).value).encode())


def _no_image(image: object) -> list[object]:  # noqa: ARG001  a document is read for its words
    return []


def _html(data: bytes) -> Iterator[str]:
    from bs4 import BeautifulSoup  # noqa: PLC0415
    from markdownify import MarkdownConverter  # noqa: PLC0415

    document = BeautifulSoup(data, "html.parser")
    for tag in document(["script", "style", "template", "noscript", "svg", "head"]):
        if tag.name != "head":
            tag.decompose()
        elif tag.title is not None:
            yield f"{tag.title.get_text().strip()}\n\n"
            tag.decompose()
    yield MarkdownConverter(heading_style="ATX", strip=["img"]).convert_soup(document).strip()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
