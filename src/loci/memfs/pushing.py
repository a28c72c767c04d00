"""What a push would do to memory: one ChangeSet, or every reason why not. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loci.errors import MemoryRefused
from loci.memfs.files import INDEX, SYSTEM, MemoryFile, described, is_rooted, label_fault, label_of, parse
from loci.types.memory import BLOCK_LIMIT_CHARS, Block, BlockCreate, BlockDetach, BlockEdit, Change, ChangeSet

FILES_MAX = 5_000
FILE_MAX_BYTES = 5_000_000
TREE_MAX_BYTES = 50_000_000
PATH_MAX_CHARS = 1_000
LOSS_BYTES_MIN = 1_000
LOSS_BLOCKS_MIN = 2
ACCEPT_LOSS = "accept-loss"
"""The push option that lets a push delete most of a memory."""

_LOCK = "read_only is set by the operator, through the API."


class PushRefused(Exception):
    """A push that changes nothing: one word for its ref, and what to tell the person."""

    def __init__(self, word: str, lines: Sequence[str] = ()) -> None:
        super().__init__(word)
        self.word = word
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files of a commit with modes, sizes in bytes and ids, and what stands in those that are blocks."""

    modes: Mapping[str, str]
    sizes: Mapping[str, int]
    blocks: Mapping[str, bytes]
    oids: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(self.sizes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a push wants: the changes, at which path the block of each label stands afterwards, and the files that it
    changes without a change telling of it.
    """

    change_set: ChangeSet
    paths: Mapping[str, str]
    files: tuple[str, ...]


def check_tree(old: Tree, modes: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """Raises PushRefused for what a push would add that nobody should check out, or that is too large."""
    added = [path for path in sizes if (old.modes.get(path), old.sizes.get(path)) != (modes[path], sizes[path])]
    faults = [f"{path}: {fault}." for path in added if (fault := _fault(path, modes[path], sizes[path]))]
    count, size_bytes = len(sizes), sum(sizes.values())
    if count > max(FILES_MAX, len(old.sizes)) or size_bytes > max(TREE_MAX_BYTES, old.size_bytes):
        faults.append(f"A memory may have {FILES_MAX} files of {TREE_MAX_BYTES} bytes in all.")
    if faults:
        raise PushRefused("invalid files", faults)


def _fault(path: str, mode: str, size_bytes: int) -> str | None:
    parts = path.lower().split("/")
    if mode not in ("100644", "100755"):
        return "it is a link, a submodule or something else that is no file"
    if len(path) > PATH_MAX_CHARS or not path.isprintable() or any(letter in "\\:\ufffd" for letter in path):
        return "its path is too long, no UTF-8, or has control characters, a backslash or a colon"
    if any(part.startswith(".git") or part in ("", ".", "..") for part in parts):
        return "its path could harm a checkout"
    return f"it is larger than {FILE_MAX_BYTES} bytes" if size_bytes > FILE_MAX_BYTES else None


def proposal(held: Mapping[str, Block], old: Tree, new: Tree, *, loss_accepted: bool) -> Proposal:
    """The changes that lead from the blocks as they stand, by path, to the new tree. Raises PushRefused."""
    if is_rooted(old.sizes) and INDEX not in new.sizes:
        raise PushRefused("invalid files", [f"{INDEX}: the index at the root of the memory must stay."])
    asked = _Asked(held, old, new)
    if asked.faults:
        raise PushRefused("invalid files", asked.faults)
    _guard(asked, old, new, loss_accepted=loss_accepted)
    told = {*held, *asked.paths.values()} if asked.changes else set[str]()
    files = sorted({path for path, _ in old.oids.items() ^ new.oids.items()} - told)
    return Proposal(change_set=ChangeSet(changes=tuple(asked.changes)), paths=asked.paths, files=tuple(files))


def _guard(asked: "_Asked", old: Tree, new: Tree, *, loss_accepted: bool) -> None:
    lost, count = len(asked.lost), asked.count
    shrunk = old.size_bytes >= LOSS_BYTES_MIN and new.size_bytes * 2 < old.size_bytes
    if loss_accepted or not (shrunk or (lost >= LOSS_BLOCKS_MIN and lost * 2 > count)):
        return
    raise PushRefused(
        "would delete most of the memory",
        [
            f"This push would take {lost} of {count} blocks away and leave {new.size_bytes} of {old.size_bytes} bytes.",
            f"If that is meant: git push -o {ACCEPT_LOSS}",
        ],
    )


class _Asked:
    """What the files of a tree ask for, worked out once: changes, faults, and blocks that are in no file any more."""

    def __init__(self, held: Mapping[str, Block], old: Tree, new: Tree) -> None:
        self.changes: list[Change] = []
        self.faults: list[str] = []
        self.paths: dict[str, str] = {}
        self.count = len(held)
        self._files: dict[str, MemoryFile] = {}
        for path, data in sorted(new.blocks.items()):
            if path in held or old.blocks.get(path) != data:  # else it was there before and was no block
                self._read(path, data)
        gone = {path: block for path, block in held.items() if path not in self._files}
        for path, file in self._files.items():
            block = held.get(path) or self._moved(path, file, gone)
            if block is None:
                self._create(path, file)
            else:
                self._edit(path, file, block, stays=path in held)
        self.faults += [f"{path}: its block stands nowhere on the branch." for path in gone if path not in old.sizes]
        self.lost = list(gone.values())
        self.changes[:0] = [self._detach(path, block) for path, block in gone.items()]

    def _read(self, path: str, data: bytes) -> None:
        try:
            self._files[path] = parse(path, data)
        except MemoryRefused as error:
            self.faults.append(error.message)

    @staticmethod
    def _moved(path: str, file: MemoryFile, gone: dict[str, Block]) -> Block | None:
        """The block that stood elsewhere: one of that label, or one that holds just this text."""
        label = label_of(path)
        alike = [old for old, block in gone.items() if label in (block.label, label_of(old))]
        alike += [old for old, block in gone.items() if file.value and block.value == file.value]
        return gone.pop(alike[0]) if alike else None

    def _label(self, path: str) -> str:
        label = label_of(path)
        if (fault := label_fault(label)) is not None:
            self.faults.append(f"{path}: {fault}")
        if label in self.paths:
            self.faults.append(f"{path}: {self.paths[label]} is a block with the same label '{label}'.")
        return label

    def _create(self, path: str, file: MemoryFile) -> None:
        label, limit_chars = self._label(path), file.limit_chars or BLOCK_LIMIT_CHARS
        if file.read_only:
            self.faults.append(f"{path}: {_LOCK}")
        self._check_length(path, file, limit_chars)
        self.paths[label] = path
        made = BlockCreate(label=label, value=file.value, description=file.description, limit_chars=limit_chars)
        self.changes.append(made)

    def _edit(self, path: str, file: MemoryFile, block: Block, *, stays: bool) -> None:
        label = block.label if stays or label_of(path) == block.label.removeprefix(SYSTEM) else self._label(path)
        described_anew = file.description not in (None, block.description, described(block))
        limit_chars = None if file.limit_chars == block.limit_chars else file.limit_chars
        self.paths[label] = path
        if file.read_only not in (None, block.read_only):
            self.faults.append(f"{path}: {_LOCK}")
        if file.value == block.value and not described_anew and limit_chars is None and label == block.label:
            return
        if block.read_only:
            self.faults.append(f"{path}: the block is read-only. Restore the file as it was.")
        if file.value != block.value or limit_chars is not None:
            self._check_length(path, file, limit_chars or block.limit_chars)
        self.changes.append(
            BlockEdit(
                block_id=block.id,
                version=block.version,
                value=file.value,
                label=None if label == block.label else label,
                description=file.description if described_anew else None,
                limit_chars=limit_chars,
            )
        )

    def _check_length(self, path: str, file: MemoryFile, limit_chars: int) -> None:
        if len(file.value) > limit_chars:
            self.faults.append(f"{path}: it has {len(file.value)} characters, and its limit is {limit_chars}.")

    def _detach(self, path: str, block: Block) -> BlockDetach:
        if block.read_only:
            self.faults.append(f"{path}: the block is read-only and cannot be taken away.")
        return BlockDetach(block_id=block.id, version=block.version)
