"""Three-way merge of a text by lines. Pure: two people changed the same text, and neither change may be lost."""

from collections.abc import Sequence
from difflib import SequenceMatcher


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Both changes of `base` together; None when they touch the same lines and cannot both hold.

    A change that both made counts once. Lines added at the same place stand one after the other, theirs first.
    """
    if base in (ours, theirs) or ours == theirs:
        return theirs if ours == base else ours
    lines = _lines(base)
    edits = _edits(lines, _lines(theirs))
    edits += [edit for edit in _edits(lines, _lines(ours)) if edit not in edits]
    edits.sort(key=lambda edit: (edit[0], edit[1]))
    merged: list[str] = []
    at = 0
    for begin, end, new in edits:
        if begin < at:
            return None
        merged += lines[at:begin]
        merged += new
        at = end
    return "\n".join(merged + lines[at:])


def _lines(text: str) -> list[str]:
    """The lines; none in an empty text, so that two can begin it."""
    return text.split("\n") if text else []


def _edits(base: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, list[str]]]:
    matcher = SequenceMatcher(a=base, b=new, autojunk=False)
    return [
        (begin, end, list(new[start:stop])) for tag, begin, end, start, stop in matcher.get_opcodes() if tag != "equal"
    ]
