"""The warden of one call: it puts up the walls, starts the program behind them, watches its limits, and reports.

Nothing of the program's runs in the warden or in the first process of the namespace; when that one ends, so does
everything inside. The warden ends when its call is cancelled or the server is gone.
"""

import os
import resource
import selectors
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loci.sandbox.child import frames, kernel, room, seccomp, tool
from loci.sandbox.child.frames import Ended, Report, Request

_TICK_S = 0.05
_FAULT_MAX_BYTES = 1_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_DEPTH_MAX = 64


@dataclass
class _Pipe:
    """What comes out of the program: the first bytes are kept, the rest is counted."""

    limit_bytes: int
    reader: int = -1
    writer: int = -1
    kept: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def __post_init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def drain(self) -> bool:
        """Take what is there; whether more may come."""
        while True:
            try:
                part = os.read(self.reader, 65_536)
            except BlockingIOError:
                return True
            if not part:
                return False
            room_left = max(0, self.limit_bytes - len(self.kept))
            self.kept += part[:room_left]
            self.dropped += max(0, len(part) - room_left)


def guard(connection: socket.socket, document: int) -> None:
    """Carry out one call from its request to its report. `document` is its standard input; -1 for none."""
    source = os.open(os.devnull, os.O_RDONLY) if document < 0 else document
    if source:
        os.dup2(source, 0)
        os.close(source)
    try:
        request = frames.read_request(connection)
    except (EOFError, ValueError, OSError):
        return
    bounds = request["bounds"]
    if request["tmp"]:
        request["tmp"] = tempfile.mkdtemp(prefix="loci-call-", dir=request["tmp"])
    pipes = [_Pipe(bounds[name]) for name in ("result_bytes", "output_bytes", "output_bytes")]
    faults = _Pipe(_FAULT_MAX_BYTES)
    ended, exit_code, detail = "walls", -1, ""
    try:
        child = _start(request, connection, [*pipes, faults])
    except OSError as error:
        detail = str(error)
    else:
        ended, exit_code = _watch(request, connection, pipes, child)
    faults.drain()
    if faults.kept:
        ended, detail = "walls", bytes(faults.kept).decode(errors="replace")
    report: Report = {
        "ended": ended,
        "exit_code": exit_code,
        "detail": detail,
        "sizes": [len(pipe.kept) for pipe in pipes],
        "dropped": [pipe.dropped for pipe in pipes],
    }
    if request["tmp"]:
        shutil.rmtree(request["tmp"], ignore_errors=True)
    try:
        connection.setblocking(True)
        frames.write(connection, report, *(bytes(pipe.kept) for pipe in pipes))
    except OSError:
        return


def _start(request: Request, connection: socket.socket, pipes: list[_Pipe]) -> int:
    """The process whose end is the end of the call."""
    if request["means"] == "namespaces":
        room.leave_processes()
    if os.uname().sysname == "Linux":
        kernel.adopt_orphans()
    child = os.fork()
    if child:
        for pipe in pipes:
            os.close(pipe.writer)
        return child
    _or_exit(pipes[-1], lambda: _inside(request, connection, pipes))
    os._exit(1)


def _or_exit(faults: _Pipe, work: Callable[[], None]) -> None:
    """Do it; if the walls cannot be put up, say so and end. What the program does later does not come here."""
    try:
        kernel.die_with_parent()
        work()
    except BaseException as error:  # noqa: BLE001  whatever it is, this process must not go on as a copy of its parent
        os.write(faults.writer, f"{type(error).__name__}: {error}".encode())
    os._exit(1)


def _inside(request: Request, connection: socket.socket, pipes: list[_Pipe]) -> None:
    """In the child: alone, run the program; in a namespace of its own, be its first process and start it."""
    if request["means"] != "namespaces":
        connection.close()
        _become(request, pipes)
        return
    number = _seen_from_outside(pipes)
    room.enter(request)
    if request["network"]:
        listening, port = room.open_network()
        socket.send_fds(connection, [b"N"], [listening.fileno()])
        listening.close()
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            request["env"][name] = f"http://127.0.0.1:{port}"
    connection.close()
    child = os.fork()
    if not child:
        room.become_nobody(number)
        _or_exit(pipes[-1], lambda: _become(request, pipes))
    for pipe in pipes:
        os.close(pipe.writer)
    while True:
        found, status = os.wait()
        if found == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _seen_from_outside(pipes: list[_Pipe]) -> int:
    """A number that other calls on this machine do not have now: that of a pipe, which the kernel gives once."""
    return os.fstat(pipes[0].reader).st_ino


def _become(request: Request, pipes: list[_Pipe]) -> None:
    """Close the last doors and be the program. Does not return."""
    os.setsid()
    result, stdout, stderr, faults = (pipe.writer for pipe in pipes)
    for place, handle in enumerate((0, stdout, stderr, result, faults)):
        os.dup2(handle, place + 200)
    for place in range(5):
        os.dup2(place + 200, place)
    os.closerange(5, 1_100)
    pipes[-1].writer = 4
    folder = request["tmp"] or "/tmp"
    os.chdir(folder)
    _bound(request)
    if request["means"] != "none":
        kernel.drop_capabilities()
        kernel.no_new_privileges()
        alone = request["means"] != "namespaces"
        write = [folder, "/dev/shm", *room.DEVICES] if not alone else [folder, *room.DEVICES]
        kernel.landlock(room.readable(request["read"], alone=alone), write, tcp=request["network"])
        seccomp.restrict(alone=alone, network=request["network"])
    os.close(4)
    tool.run(request, 3, folder)


def _bound(request: Request) -> None:
    bounds = request["bounds"]
    kernel.limit(resource.RLIMIT_CORE, 0)
    kernel.limit(resource.RLIMIT_CPU, bounds["cpu_s"])
    kernel.limit(resource.RLIMIT_FSIZE, bounds["file_bytes"])
    kernel.limit(resource.RLIMIT_NOFILE, bounds["files"])
    if request["program"]["language"] == "python":
        # Node reserves address space by the hundred gigabytes; there the warden watches what is used.
        kernel.limit(resource.RLIMIT_AS, bounds["memory_bytes"])
    if request["means"] == "namespaces":
        kernel.limit(resource.RLIMIT_NPROC, bounds["processes"])


def _watch(request: Request, connection: socket.socket, pipes: list[_Pipe], child: int) -> tuple[Ended, int]:
    """Until it ends or must be ended."""
    bounds = request["bounds"]
    deadline = time.monotonic() + bounds["wall_s"]
    connection.setblocking(False)
    ended: Ended | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        for pipe in pipes:
            selector.register(pipe.reader, selectors.EVENT_READ, pipe)
        handle = os.pidfd_open(child) if hasattr(os, "pidfd_open") else -1
        if handle >= 0:
            selector.register(handle, selectors.EVENT_READ, "child")
        while ended is None:
            for key, _ in selector.select(_TICK_S):
                if key.data is None:
                    ended = "cancelled"
                elif isinstance(key.data, _Pipe) and not key.data.drain():
                    selector.unregister(key.fd)
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                ended = "done"
            else:
                ended = ended or _beyond(request, child, pipes, deadline)
    _kill_all(child)
    _, status = os.waitpid(child, 0)
    _reap(request)
    for pipe in pipes:
        pipe.drain()
    if ended == "done" and pipes[0].dropped:
        ended = "result"  # it ended as it said too much
    return ended, os.waitstatus_to_exitcode(status)


def _beyond(request: Request, child: int, pipes: list[_Pipe], deadline: float) -> Ended | None:
    bounds = request["bounds"]
    if time.monotonic() >= deadline:
        return "time"
    if pipes[0].dropped:
        return "result"
    family = _family(child)
    if len(family) > bounds["processes"] + 2:
        return "processes"
    if sum(map(_resident_bytes, family)) > bounds["memory_bytes"]:
        return "memory"
    if request["tmp"] and _tree_bytes(request["tmp"]) > bounds["disk_bytes"]:
        return "disk"
    return None


def _family(process: int, depth: int = 0) -> list[int]:
    """A process and all that come from it."""
    found = [process]
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", "rb") as file:
                for child in file.read().split():
                    found += _family(int(child), depth + 1) if depth < _DEPTH_MAX else []
    except OSError:
        return found
    return found


def _resident_bytes(process: int) -> int:
    """What it has in memory and does not share with files."""
    try:
        with open(f"/proc/{process}/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


def _tree_bytes(folder: str) -> int:
    """How much lies in a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def _kill_all(child: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except OSError:
            continue


def _reap(request: Request) -> None:
    """Without a namespace, what the program started is now a child of the warden: it goes too."""
    while request["means"] != "namespaces":
        for orphan in _family(os.getpid())[1:]:
            _kill_all(orphan)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
