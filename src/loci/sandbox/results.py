"""What came of a program, from the report of its warden: the same words wherever it ran, and nothing is believed."""

import signal
from collections.abc import Mapping, Sequence

import orjson

from loci.errors import NotAvailable
from loci.sandbox.base import Limit, Ran
from loci.sandbox.child.frames import Bounds, Report
from loci.types.json import JsonValue

_CONTROL = dict.fromkeys([*range(9), *range(11, 32), 127])
"""Taken out of what a program says: it could move the cursor of whoever reads it."""
_ENDS: Mapping[str, str] = {
    "time": "Error: the tool took longer than {wall_s:g} seconds and was stopped.",
    "memory": "Error: the tool used more memory than the {memory_bytes} bytes it may have and was stopped.",
    "processes": "Error: the tool started more than the {processes} processes it may have and was stopped.",
    "disk": "Error: the tool wrote more than the {disk_bytes} bytes it may and was stopped.",
    "result": "Error: the result is larger than the {result_bytes} bytes it may have.",
    "computing": "Error: the tool was stopped; it may use {cpu_s} seconds of computing time.",
    "file": "Error: the tool wrote a file larger than the {file_bytes} bytes it may have.",
    "cancelled": "Error: the call was cancelled.",
}
_LIMITS: Mapping[str, Limit] = {
    name: name for name in ("time", "memory", "processes", "disk", "result", "computing", "file")
}


def told(report: Report, blobs: Sequence[bytes], name: str | None, bounds: Bounds) -> Ran:
    """What a report means. Raises NotAvailable if there were no walls, so that nothing was run."""
    result, stdout, stderr = blobs
    if report["ended"] == "walls":
        raise NotAvailable(f"The walls of the sandbox could not be put up: {report['detail']}.")
    ended = _signalled(report["exit_code"]) if report["ended"] == "done" and not result else report["ended"]
    if ended in _ENDS:
        ran = over(_LIMITS[ended], bounds) if ended in _LIMITS else Ran(error=_ENDS[ended])
    elif not result:
        ran = Ran(error=f"Error: the tool ended without a result (exit status {report['exit_code']}).")
    else:
        try:
            ran = _read(orjson.loads(result), name)
        except orjson.JSONDecodeError:
            ran = Ran(error="Error: the tool gave no readable result.")
    return Ran(
        value=None if ran.value is None else clean(ran.value.encode(errors="replace")),
        error=None if ran.error is None else clean(ran.error.encode(errors="replace")),
        beyond=ran.beyond,
        blocks={key: clean(str(text).encode(errors="replace")) for key, text in ran.blocks.items()},
        stdout=_shortened(stdout, report["dropped"][1]),
        stderr=_shortened(stderr, report["dropped"][2]) + clean(ran.stderr.encode(errors="replace")),
    )


def over(limit: Limit, bounds: Bounds) -> Ran:
    """The end of a program at a limit."""
    return Ran(error=_ENDS[limit].format(**bounds), beyond=limit)


def _signalled(exit_code: int) -> str:
    """The limit that the kernel ended it for, if it did."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "computing"
    return "file" if number == signal.SIGXFSZ else "done"


def clean(raw: bytes) -> str:
    """Bytes as text without control characters."""
    return raw.decode(errors="replace").translate(_CONTROL)


def _shortened(raw: bytes, dropped: int) -> str:
    return clean(raw) + (f"\n… {dropped} more bytes were not kept" if dropped else "")


def _read(document: JsonValue, name: str | None) -> Ran:
    if not isinstance(document, dict):
        return Ran(error="The program gave no readable result.")
    error = document.get("error")
    what = f"Error executing function {name}" if name else "Error"
    if isinstance(error, dict):
        words = f"{what}: {error.get('type')}: {error.get('message')}"
        return Ran(error=words, stderr=str(error.get("traceback") or ""))
    value, blocks = document.get("value"), document.get("blocks")
    changed = {key: text for key, text in blocks.items() if isinstance(text, str)} if isinstance(blocks, dict) else {}
    return Ran(value="None" if value is None else str(value), blocks=changed)
