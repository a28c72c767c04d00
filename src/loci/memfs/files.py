"""Blocks as Markdown files with front matter, and back. Pure.

Two layouts. As long as there is no `MEMORY.md` at the root, blocks are the files under `system/`; with it, those at the
root, and `MEMORY.md` itself is the block of that name. Every other file is kept as it is and is no block.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from urllib.parse import unquote

from loci.errors import MemoryRefused
from loci.types.memory import LABEL_PATTERN, Block

INDEX, INDEX_LABEL = "MEMORY.md", "MEMORY"
SYSTEM = "system/"
LIMIT_MAX_CHARS = 2**31 - 1
HEADER_MAX_CHARS = 20_000
DESCRIPTION_MAX_CHARS = 8_000
"""So much of it is shown: with all quotes escaped the front matter is still short enough to be read."""
NAME_MAX_BYTES = 200

_KEYS = ("name", "description", "limit", "read_only")
_HEADER = re.compile(r"---[ \t]*\r?\n(.*?)(?:^)---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PLAIN = re.compile(r"[^\s\"'>|&*!%@`#\[\]{},?:-][^\n\r]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFile:
    """What a file says of its block; None where it says nothing."""

    value: str
    name: str | None = None
    description: str | None = None
    limit_chars: int | None = None
    read_only: bool | None = None


def is_rooted(paths: Iterable[str]) -> bool:
    """Whether blocks stand at the root."""
    return INDEX in paths


def is_block(path: str, *, rooted: bool) -> bool:
    """Whether the file at this path is a block."""
    return path.endswith(".md") and ("/" not in path if rooted else path.startswith(SYSTEM))


def label_of(path: str) -> str:
    """The label of a new block whose file stands there."""
    return unquote(path.removesuffix(".md").removeprefix(SYSTEM))


def standing(paths: Iterable[str]) -> set[str]:
    """Files, and the folders that they make, each with a slash behind it."""
    return {place for path in paths for place in (path, *(f"{folder}/" for folder in _folders(path)))}


def _folders(path: str) -> Iterable[str]:
    return accumulate(path.split("/")[:-1], "{}/{}".format)


def places(blocks: Sequence[Block], kept: Mapping[str, str], taken: set[str]) -> dict[str, Block]:
    """Each block by the path of its file, no path a folder of another.

    `kept` are paths by block id that stay as long as they fit the label; `taken` is what stands there and is no block.
    """
    rooted = any(block.label == INDEX_LABEL for block in blocks)
    found: dict[str, Block] = {}
    used: set[str] = set()

    def is_free(path: str) -> bool:
        return not any(place in taken or place in used for place in (path, f"{path}/", *_folders(path)))

    def put(path: str, block: Block) -> None:
        found[path] = block
        used.update(standing([path]))

    fresh: list[Block] = []
    for block in sorted(blocks, key=lambda each: (each.label, each.id)):
        path = kept.get(block.id)
        natural = path is not None and label_of(path) == block.label.removeprefix(SYSTEM)
        if path is not None and natural and is_block(path, rooted=rooted) and is_free(path):
            put(path, block)
        else:
            fresh.append(block)
    for block in fresh:
        path = _path(block.label, rooted=rooted)
        if len(path.encode()) > NAME_MAX_BYTES or not is_free(path):
            name = path.removeprefix(SYSTEM).removesuffix(".md").replace("/", "_")[:50]
            path = f"{'' if rooted else SYSTEM}{name}~{block.id[-12:]}.md"
        put(path, block)
    return found


def _path(label: str, *, rooted: bool) -> str:
    name = label.removeprefix(SYSTEM)
    if rooted:
        return f"{_segment(name.replace('/', '_'))}.md"
    parts = name.split("/")
    if not all(parts):
        return f"{SYSTEM}{_segment(name)}.md"
    *folders, last = map(_segment, parts)
    # A folder is never called what a file of a block is called.
    folders = [re.sub(r"\.(md)$", r"%2E\1", folder, flags=re.IGNORECASE) for folder in folders]
    return f"{SYSTEM}{'/'.join([*folders, last])}.md"


def _segment(text: str) -> str:
    """A part of a path that is safe on every system: what could be more than a name is percent-encoded."""
    encoded = "".join(
        letter if letter.isalnum() or letter in " _-.,()+@" else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in text
    )
    first = "%2E" + encoded[1:] if encoded.startswith(".") else encoded
    return first[:-1] + f"%{ord(first[-1]):02X}" if first.endswith((" ", ".")) else first


def render(path: str, block: Block, old: bytes | None) -> bytes:
    """The file of a block: the old one if that says the same."""
    said = None
    if old is not None:
        try:
            said = parse(path, old)
        except MemoryRefused:
            said = None
        if said is not None and _is_said(path, said, block):
            return old
    if path == INDEX:
        return _body(block.value)
    description = described(block)
    lines = [f"description: {_quoted(description)}"]
    if "/" not in path:
        name = said.name if said and said.name else re.sub(r"[-_]+", " ", label_of(path)).strip().title()
        lines.insert(0, f"name: {_quoted(name[:1_000])}")
    else:
        lines.append(f"limit: {block.limit_chars}")
        if block.read_only:
            lines.append("read_only: true")
    return "\n".join(["---", *lines, "---", ""]).encode() + _body(block.value)


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _body(value: str) -> bytes:
    """The text with a line end. What begins like front matter or an empty line is set apart by an empty line."""
    return (("\n" if value.startswith(("\n", "---")) else "") + value + "\n").encode()


def described(block: Block) -> str:
    """The description in one line; there always is one, because clients demand it."""
    words = " ".join(re.sub(r"[\x00-\x1f]", " ", block.description or "").split())
    return words[:DESCRIPTION_MAX_CHARS].strip() or f"Memory block {block.label}"


def _is_said(path: str, said: MemoryFile, block: Block) -> bool:
    unsaid = said.read_only is None and ("/" not in path or not block.read_only)
    return (
        said.value == block.value
        and said.description in (None, block.description, described(block))
        and said.limit_chars in (None, block.limit_chars)
        and (unsaid or said.read_only == block.read_only)
    )


def parse(path: str, data: bytes) -> MemoryFile:
    """What a file says. Raises MemoryRefused with what is wrong in it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MemoryRefused(f"{path}: it is no UTF-8 text.") from None
    if "\x00" in text:
        raise MemoryRefused(f"{path}: it has NUL characters; memory is text.")
    if path == INDEX:
        return MemoryFile(value=_value(text))
    header = _HEADER.match(text)
    if header is None:
        if re.match(r"---[ \t]*\r?\n", text):
            raise MemoryRefused(f"{path}: its front matter is opened with '---' but never closed.")
        return MemoryFile(value=_value(text))
    return _with_facts(path, _facts(path, header.group(1)), _value(text[header.end() :]))


def _value(body: str) -> str:
    """The text without the line end, and without the empty line, that a file adds."""
    return body.removesuffix("\n").removeprefix("\n") if body != "\n" else ""


def _facts(path: str, header: str) -> dict[str, str]:
    if len(header) > HEADER_MAX_CHARS:
        raise MemoryRefused(f"{path}: its front matter is longer than {HEADER_MAX_CHARS} characters.")
    found: dict[str, str] = {}
    last = ""
    for line in header.split("\n"):
        if not line.strip():
            continue
        if line[0] in " \t" and last:
            found[last] = f"{found[last]} {line.strip()}".strip(" |>")
            continue
        key, colon, text = line.partition(":")
        last = key.strip()
        if not colon or last not in _KEYS:
            raise MemoryRefused(f"{path}: unknown front matter '{line[:60]}'; there may be: {', '.join(_KEYS)}.")
        if last in found:
            raise MemoryRefused(f"{path}: '{last}' stands twice in the front matter.")
        found[last] = text.strip()
    return {key: _unquoted(text) for key, text in found.items()}


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except json.JSONDecodeError:
            return text[1:-1]
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text


def _with_facts(path: str, facts: Mapping[str, str], value: str) -> MemoryFile:
    limit, read_only = facts.get("limit"), facts.get("read_only")
    if limit is not None and not (re.fullmatch(r"[0-9]{1,10}", limit) and 0 < int(limit) <= LIMIT_MAX_CHARS):
        raise MemoryRefused(f"{path}: limit must be a number from 1 to {LIMIT_MAX_CHARS}, not '{limit[:30]}'.")
    if read_only not in (None, "true", "false"):
        raise MemoryRefused(f"{path}: read_only must be true or false, not '{read_only[:30]}'.")
    return MemoryFile(
        value=value,
        name=facts.get("name"),
        description=facts.get("description") or None,
        limit_chars=None if limit is None else int(limit),
        read_only=None if read_only is None else read_only == "true",
    )


def label_fault(label: str) -> str | None:
    """Why this is no label; None if it is one."""
    if not label.strip() or not re.fullmatch(LABEL_PATTERN, label):
        return "its name is no label of a block: it must not be empty nor have <, > or control characters."
    return None
