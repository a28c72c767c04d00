"""Edits of a block's text, with the exact effects that Letta V1 agents know. Pure.

Every refusal says what is wrong and how to mend it, because an agent reads it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from loci.errors import BlockReadOnly, BlockTooLong, BlockUnknown, MemoryRefused, TextAmbiguous, TextNotFound
from loci.types.memory import Block

_LINE_PREFIX = re.compile(r"^(?:Line \d+: |\s*\d+→ )", re.MULTILINE)
_LINE_WARNING = "NOTE: Line numbers"


def named(blocks: Sequence[Block], label: str) -> Block:
    """The block with this label. Raises BlockUnknown with the labels that there are."""
    for block in blocks:
        if block.label == label:
            return block
    if not blocks:
        raise BlockUnknown(
            f"Block field {label} does not exist: there is no block at all.",
            hint="Make one with the tool `memory` (command create) if you have it; else ask the person to add one.",
        )
    there = ", ".join(block.label for block in blocks)
    raise BlockUnknown(f"Block field {label} does not exist (available sections = {there}).")


def changed(block: Block, value: str) -> Block:
    """The block with another value. Raises BlockReadOnly, BlockTooLong."""
    if block.read_only:
        raise BlockReadOnly(f"Block '{block.label}' is read-only and cannot be edited.")
    if len(value) > block.limit_chars:
        raise BlockTooLong(
            f"Block '{block.label}' may have {block.limit_chars} characters; this edit would make it {len(value)}."
        )
    return replace(block, value=value)


def append(block: Block, content: str) -> Block:
    """A new line at the end."""
    return changed(block, f"{block.value}\n{content}" if block.value else content)


def replace_all(block: Block, old: str, new: str) -> Block:
    """Every occurrence of a text. Raises TextNotFound."""
    if not old or old not in block.value:
        raise TextNotFound(f"Old content '{_short(old)}' not found in memory block '{block.label}'.")
    return changed(block, block.value.replace(old, new))


def replace_one(block: Block, old: str, new: str) -> Block:
    """The one occurrence of a text; an empty `new` deletes it. Raises TextNotFound, TextAmbiguous."""
    unnumbered(old, "old_string")
    unnumbered(new, "new_string")
    value, old, new = block.value.expandtabs(), old.expandtabs(), new.expandtabs()
    count = value.count(old) if old else 0
    if count == 0:
        raise TextNotFound(f"No replacement was performed: '{_short(old)}' did not appear verbatim in '{block.label}'.")
    if count > 1:
        lines = [str(number) for number, line in enumerate(value.split("\n"), 1) if old.split("\n")[0] in line]
        raise TextAmbiguous(
            f"No replacement was performed. Multiple occurrences of '{_short(old)}' in lines {', '.join(lines)}."
        )
    return changed(block, value.replace(old, new))


def insert_line(block: Block, text: str, line: int) -> Block:
    """New lines after line number `line`; 0 means the top, -1 the end. Raises MemoryRefused."""
    unnumbered(text, "new_string")
    lines = block.value.expandtabs().split("\n") if block.value else []
    if line < -1 or line > len(lines):
        raise MemoryRefused(f"insert_line is {line}, but must be from 0 to {len(lines)}, or -1 for the end.")
    at = len(lines) if line == -1 else line
    return changed(block, "\n".join([*lines[:at], *text.expandtabs().split("\n"), *lines[at:]]))


def rewrite(block: Block, value: str) -> Block:
    """The whole text anew."""
    unnumbered(value, "new_memory")
    return changed(block, value)


def unnumbered(text: str, argument: str) -> None:
    """Line numbers are a view and never go into memory. Raises MemoryRefused."""
    if _LINE_PREFIX.search(text) or _LINE_WARNING in text:
        raise MemoryRefused(f"{argument} has line numbers in it; leave them out, they are only shown to help you.")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"


def apply_patch(value: str, patch: str) -> str:
    """A text after a unified diff without line numbers: hunks of ' ', '-' and '+' lines found by their content.

    Raises TextNotFound for a hunk that fits nowhere, TextAmbiguous for one that fits twice, MemoryRefused for none.
    """
    lines = value.split("\n") if value else []
    hunks = _hunks(patch)
    if not hunks:
        raise MemoryRefused(
            "The patch has no lines that begin with '-' or '+'.", hint="Begin each line with ' ', '-' or '+'."
        )
    for hunk in hunks:
        old = [line[1:] for line in hunk if line[0] in " -"]
        new = [line[1:] for line in hunk if line[0] in " +"]
        if not old:
            lines = lines + new
            continue
        places = [at for at in range(len(lines) - len(old) + 1) if lines[at : at + len(old)] == old]
        shown = _short("\n".join(old))
        if not places:
            raise TextNotFound(f"These lines of the patch did not appear verbatim in the block: {shown}")
        if len(places) > 1:
            raise TextAmbiguous(f"These lines of the patch appear {len(places)} times in the block: {shown}")
        lines[places[0] : places[0] + len(old)] = new
    return "\n".join(lines)


def _hunks(patch: str) -> list[list[str]]:
    hunks: list[list[str]] = [[]]
    for line in patch.strip("\n").split("\n"):
        if line.startswith(("@@", "---", "+++")):
            hunks.append([])
        elif line[:1] in (" ", "-", "+"):
            hunks[-1].append(line)
        elif not line:
            hunks[-1].append(" ")
    return [hunk for hunk in hunks if any(line[0] in "-+" for line in hunk)]
