"""Trees, commits and packs, read and made by git."""

from collections.abc import Sequence

from loci.memfs.files import is_block, is_rooted
from loci.memfs.git import Git, GitFailed
from loci.memfs.past import Commit
from loci.memfs.pushing import Entry, Tree, check_entries
from loci.types.memory import Author

BRANCH = "refs/heads/main"
_NEXT = "refs/loci/next"


async def read_tree(git: Git, commit: str) -> Tree:
    """The files of a commit. Raises PushRefused for what no tree of ours may hold."""
    listed = await git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    entries: list[Entry] = []
    oids: dict[str, str] = {}
    for line in listed.split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        mode, _, oid, size = facts.decode().split()
        path = name.decode("utf-8", "replace")
        entries.append(Entry(path=path, mode=mode, size_bytes=int(size) if size.isdecimal() else 0))
        oids[path] = oid
    check_entries(entries)
    rooted = is_rooted(oids)
    paths = [path for path in oids if is_block(path, rooted=rooted)]
    texts = await _contents(git, [oids[path] for path in paths])
    return Tree(entries={entry.path: entry for entry in entries}, blocks=dict(zip(paths, texts, strict=True)))


async def _contents(git: Git, oids: Sequence[str]) -> list[bytes]:
    if not oids:
        return []
    out = await git.run("cat-file", "--batch", data="".join(f"{oid}\n" for oid in oids).encode())
    found: list[bytes] = []
    at = 0
    for _ in oids:
        line_end = out.index(b"\n", at)
        size = int(out[at:line_end].rsplit(b" ", 1)[1])
        found.append(out[line_end + 1 : line_end + 1 + size])
        at = line_end + size + 2
    return found


async def write_commits(git: Git, commits: Sequence[Commit], parent: str | None) -> str:
    """Make commits on top of another; the id of the last. What they are made of is all that their ids hang on."""
    stream = b"".join(_command(commit, parent if number == 0 else None) for number, commit in enumerate(commits))
    out = await git.run("fast-import", "--quiet", "--force", data=stream + b"get-mark :1\n")
    return out.decode().strip()


def _command(commit: Commit, parent: str | None) -> bytes:
    seconds = int(commit.at.timestamp())
    message = f"{commit.message}\n".encode()
    lines = [
        f"commit {_NEXT}",
        "mark :1",
        f"author {_person(commit.author)} {seconds} +0000",
        f"committer Loci <loci@localhost> {seconds} +0000",
        f"data {len(message)}",
    ]
    made = "\n".join(lines).encode() + b"\n" + message
    if parent is not None:
        made += f"from {parent}\n".encode()
    for path, data in sorted(commit.files.items()):
        quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        if data is None:
            made += f"D {quoted}\n".encode()
        else:
            made += f"M 100644 inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"
    return made + b"\n"


def _person(author: Author) -> str:
    safe = "".join(letter for letter in author.id if letter.isprintable() and letter not in "<>")
    return f"{author.kind.value} <{safe}@loci>"


async def pack_of(git: Git, head: str, without: str | None) -> bytes:
    """The objects of a commit and all before it, as a pack; without those of another, if one is named.

    Raises GitFailed if something is missing.
    """
    asked = f"{head}\n" if without is None else f"{head}\n^{without}\n"
    return await git.run("pack-objects", "--revs", "--stdout", "--quiet", data=asked.encode())


async def is_newer(git: Git, head: str, old: str) -> bool:
    """Whether a commit goes on from another. Raises GitFailed if it is no commit."""
    if (await git.run("cat-file", "-t", head)).strip() != b"commit":
        raise GitFailed("The branch would point at something that is no commit.")
    return await git.holds("merge-base", "--is-ancestor", old, head)


async def said_by(git: Git, head: str) -> tuple[str, str]:
    """Who wrote a commit, as git names them, and its first line."""
    out = await git.run("show", "-s", "--no-color", "--format=%an <%ae>%n%s", "--encoding=UTF-8", head)
    person, _, subject = out.decode("utf-8", "replace").strip().partition("\n")
    return person, subject
