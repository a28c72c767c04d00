"""Trees, commits and packs, read and made by git."""

from collections.abc import Mapping, Sequence

from loci.memfs.files import is_block, is_rooted
from loci.memfs.git import Git, GitFailed
from loci.memfs.past import Step
from loci.memfs.pushing import PushRefused, Tree, check_tree

BRANCH = "refs/heads/main"
LISTING_MAX_BYTES = 10_000_000


async def read_tree(git: Git, commit: str, old: Tree | None = None) -> Tree:
    """The files of a commit. If it is pushed on top of an old one, raises PushRefused for what it may not add."""
    asked = ("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    listed = await git.run(*asked, most_bytes=LISTING_MAX_BYTES)
    modes: dict[str, str] = {}
    sizes: dict[str, int] = {}
    oids: dict[str, str] = {}
    for line in listed.split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        path = name.decode("utf-8", "replace")
        modes[path], _, oids[path], size = facts.decode().split()
        sizes[path] = int(size) if size.isdecimal() else 0
    if old is not None:
        check_tree(old, modes, sizes)
    rooted = is_rooted(oids)
    paths = [path for path in oids if is_block(path, rooted=rooted)]
    out = await git.run("cat-file", "--batch", data="".join(f"{oids[path]}\n" for path in paths).encode())
    found: dict[str, bytes] = {}
    at = 0
    for path in paths:
        begin = out.index(b"\n", at) + 1
        at = begin + sizes[path] + 1
        found[path] = out[begin : at - 1]
    return Tree(modes=modes, sizes=sizes, blocks=found, oids=oids)


async def write_commits(
    git: Git, commits: Sequence[tuple[Step, Mapping[str, bytes | None]]], parent: str | None
) -> str:
    """Make commits on top of another; the id of the last. What they are made of is all that their ids hang on."""
    stream = bytearray()
    for number, (step, files) in enumerate(commits):
        at, message = f"{int(step.at.timestamp())} +0000", f"{step.message}\n".encode()
        person = "".join(letter for letter in step.author.id if letter.isprintable() and letter not in "<>")
        stream += f"commit refs/loci/next\nmark :1\nauthor {step.author.kind.value} <{person}@loci> {at}\n".encode()
        stream += f"committer Loci <loci@localhost> {at}\ndata {len(message)}\n".encode() + message
        if number == 0 and parent is not None:
            stream += f"from {parent}\n".encode()
        for path, data in sorted(files.items()):
            # Paths of blocks are encoded and those of pushes were checked: only quotes are left to escape.
            quoted = '"' + path.replace('"', '\\"') + '"'
            change = f"D {quoted}" if data is None else f"M 100644 inline {quoted}\ndata {len(data)}"
            stream += change.encode() + b"\n" + (b"" if data is None else data + b"\n")
    return (await git.run("fast-import", "--quiet", "--force", data=bytes(stream) + b"get-mark :1\n")).decode().strip()


async def pack_of(git: Git, head: str, without: str | None) -> bytes:
    """The objects of a commit and all before it, as a pack; without those of another, if one is named.

    Raises GitFailed if something is missing.
    """
    asked = f"{head}\n" if without is None else f"{head}\n^{without}\n"
    return await git.run("pack-objects", "--revs", "--stdout", "--quiet", data=asked.encode())


async def check_follows(git: Git, head: str, old: str) -> None:
    """Raises PushRefused unless a commit goes on from another, GitFailed if it is no commit."""
    if (await git.run("cat-file", "-t", head)).strip() != b"commit":
        raise GitFailed("The branch would point at something that is no commit.")
    if (await git.run("rev-list", "--max-count=1", old, f"^{head}")).strip():
        lines = ["Memory never loses its past: another history cannot take its place.", "Pull first, then push again."]
        raise PushRefused("non-fast-forward", lines)


async def said_by(git: Git, head: str) -> str:
    """The first line of a commit, and who wrote it."""
    out = await git.run("show", "-s", "--no-color", "--format=%s (%an <%ae>)", "--encoding=UTF-8", head)
    return out.decode("utf-8", "replace").strip()
