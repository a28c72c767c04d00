"""Patches over several blocks: sections that add, update, move and delete. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from loci.errors import MemoryRefused, ToolRefused
from loci.memory import edits
from loci.tools.base import MemoryOutcome
from loci.types.json import JsonObject
from loci.types.memory import Block, BlockCreate, BlockDetach, BlockEdit, Change, ChangeSet

_SECTION = re.compile(r"^\*\*\* (Add|Update|Delete) Block:\s*(.+?)\s*$")
_MOVE = re.compile(r"^\*\*\* Move to:\s*(.+?)\s*$")


@dataclass(slots=True)
class _Section:
    verb: str
    label: str
    move_to: str | None = None
    lines: list[str] = field(default_factory=list[str])


def memory_apply_patch(blocks: Sequence[Block], args: JsonObject) -> MemoryOutcome:
    """One block by a plain patch, or several by sections. All of it or nothing."""
    patch, label = args.get("patch"), args.get("label")
    if not isinstance(patch, str) or not patch.strip():
        raise ToolRefused("'patch' is empty.")
    sections = _sections(patch)
    if not sections:
        block = edits.named(blocks, label if isinstance(label, str) else "")
        new = edits.changed(block, edits.apply_patch(block.value, patch))
        edit = BlockEdit(block_id=new.id, version=new.version, value=new.value)
        return MemoryOutcome(text=new.value, changes=ChangeSet(changes=(edit,)))
    changes = tuple(_change(blocks, section) for section in sections)
    done = "; ".join(f"{section.verb.lower()} {section.label}" for section in sections)
    recompile = any(section.verb != "Update" or section.move_to for section in sections)
    return MemoryOutcome(text=f"Successfully applied: {done}.", changes=ChangeSet(changes=changes, recompile=recompile))


def _sections(patch: str) -> list[_Section]:
    found: list[_Section] = []
    for line in patch.split("\n"):
        head, move = _SECTION.match(line), _MOVE.match(line)
        if head:
            found.append(_Section(verb=head.group(1), label=head.group(2)))
        elif line.strip() in ("*** Begin Patch", "*** End Patch"):
            continue
        elif found and move:
            found[-1].move_to = move.group(1)
        elif found:
            found[-1].lines.append(line)
    return found


def _change(blocks: Sequence[Block], section: _Section) -> Change:
    if section.verb == "Add":
        if any(block.label == section.label for block in blocks):
            raise MemoryRefused(f"There is a block '{section.label}' already.", hint="Use '*** Update Block:'.")
        value = "\n".join(line.removeprefix("+") for line in section.lines).strip("\n")
        edits.changed(Block(id="new", label=section.label, value=""), value)
        return BlockCreate(label=section.label, value=value)
    block = edits.named(blocks, section.label)
    if section.verb == "Delete":
        edits.changed(block, "")
        return BlockDetach(block_id=block.id, version=block.version)
    body = "\n".join(section.lines)
    value = edits.apply_patch(block.value, body) if body.strip() else block.value
    new = edits.changed(block, value)
    return BlockEdit(block_id=new.id, version=new.version, value=new.value, label=section.move_to)
