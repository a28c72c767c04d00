"""What a file is, and how its text is had: from its name, and from what it begins with."""

from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from loci.errors import Unprocessable, UnsupportedMedia

FileKind: TypeAlias = Literal["text", "pdf", "docx", "html"]

_BY_ENDING: dict[str, FileKind] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
_MEDIA_TYPES: dict[FileKind, str] = {
    "text": "text/plain",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
}
_TEXT_TYPES = {".md": "text/markdown", ".json": "application/json", ".csv": "text/csv", ".py": "text/x-python"}
_BEGINNINGS: dict[FileKind, bytes] = {"pdf": b"%PDF-", "docx": b"PK\x03\x04"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
SNIFFED_BYTES = 8_192
NAME_MAX_CHARS = 200

SUPPORTED = "text of any kind (Markdown, code, JSON, CSV …), HTML, PDF and DOCX"


def kind_of(name: str, beginning: bytes) -> FileKind:
    """How to read a file. Raises UnsupportedMedia for one that nothing here reads."""
    named = _BY_ENDING.get(PurePosixPath(name.lower()).suffix)
    if named is None and beginning.startswith(_BEGINNINGS["docx"]):  # an archive of some other kind
        raise _unsupported(name)
    kind: FileKind = named or ("pdf" if beginning.startswith(_BEGINNINGS["pdf"]) else "text")
    needed = _BEGINNINGS.get(kind)
    if needed is not None:
        # Some writers put a few bytes before the header of a PDF, which readers forgive.
        if needed not in beginning[:1_024]:
            raise UnsupportedMedia(f"'{name}' is named like a {kind.upper()} file, but is none.")
    elif b"\x00" in beginning[:SNIFFED_BYTES] and not beginning.startswith(_UTF16):
        raise _unsupported(name)
    return kind


def media_type_of(name: str, kind: FileKind) -> str:
    """The media type, as clients are told it. What the client said of it counts for nothing."""
    ending = PurePosixPath(name.lower()).suffix
    return _TEXT_TYPES.get(ending, _MEDIA_TYPES[kind]) if kind == "text" else _MEDIA_TYPES[kind]


def clean_name(name: str) -> str:
    """A name for a file, without folders and without what would break a prompt or a path. Raises Unprocessable."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>"').strip()
    if kept in ("", ".", ".."):
        raise Unprocessable(f"'{name[:100]}' is no name for a file.")
    if len(kept) > NAME_MAX_CHARS:
        stem, dot, ending = kept.rpartition(".")
        kept = (
            f"{stem[: NAME_MAX_CHARS - len(ending) - 1]}.{ending}"
            if dot and len(ending) < 20
            else kept[:NAME_MAX_CHARS]
        )
    return kept


def with_number(name: str, number: int) -> str:
    """The same name for one more file."""
    path = PurePosixPath(name)
    return f"{path.stem}_({number}){path.suffix}"


def _unsupported(name: str) -> UnsupportedMedia:
    return UnsupportedMedia(f"Files like '{name}' cannot be read here.", hint=f"Send {SUPPORTED}.")
