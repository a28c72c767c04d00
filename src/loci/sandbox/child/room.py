"""A room of its own for one call: namespaces, and a root with nothing in it but what a program needs to run.

The root is a small file system in memory. System folders, the interpreter and the packages of the environment are
bound into it, read-only; /tmp is its own; there is no network device but loopback, and no process but those inside.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterable

from loci.sandbox.child import kernel
from loci.sandbox.child.frames import Request

_OLD = "/.host"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SYSTEM = (*_SYSTEM, *SETTINGS)
"""What every program may read, wherever it runs."""
_UID_FIRST, _UID_COUNT = 200_000, 1_000_000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1


def leave_processes() -> None:
    """In the warden: the next child gets a process namespace of its own; without root's rights, a user one too."""
    try:
        kernel.unshare(kernel.NEW_PIDS)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        kernel.unshare(kernel.NEW_USER | kernel.NEW_PIDS)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    os.write(handle, text.encode())
    os.close(handle)


def enter(request: Request) -> None:
    """In the first process of the new namespace: leave the other namespaces and build the root. Raises OSError."""
    bounds = request["bounds"]
    kernel.unshare(kernel.NEW_MOUNTS | kernel.NEW_NET | kernel.NEW_IPC | kernel.NEW_UTS)
    os.umask(0)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    bounded = f"size={bounds['disk_bytes']},nr_inodes=20000"
    kernel.mount("tmpfs", "/tmp", "tmpfs", kernel.MS_NOSUID, "mode=0755,size=1m")
    os.chdir("/tmp")
    os.mkdir("/tmp" + _OLD)
    kernel.pivot_root("/tmp", "/tmp" + _OLD)
    os.chdir("/")
    for path, size in (("/tmp", bounded), ("/dev/shm", bounded)):
        os.makedirs(path, exist_ok=True)
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("tmpfs", path, "tmpfs", flags, f"mode=1777,{size}")
    # Outer folders first, so that what lies inside one of them is there already.
    for path in sorted({*SYSTEM, *request["read"]}, key=len):
        _bind(path)
    for path in DEVICES:
        _file(path)
        kernel.mount(_OLD + path, path, None, kernel.MS_BIND)
    _processes()
    kernel.detach(_OLD)
    os.rmdir(_OLD)
    kernel.freeze("/", recursive=False)
    os.umask(0o022)


def _bind(path: str) -> None:
    source = _OLD + path
    if os.path.islink(source):
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(os.readlink(source), path)
        return
    if not os.path.exists(source) or os.path.exists(path):
        return
    if os.path.isdir(source):
        os.makedirs(path)
    else:
        _file(path)
    kernel.mount(source, path, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.freeze(path)


def _file(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))


def _processes() -> None:
    """A /proc of this namespace that shows processes alone. Some containers forbid it; then there is none."""
    os.makedirs("/proc", exist_ok=True)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    for data in ("subset=pid,hidepid=invisible", "subset=pid"):
        try:
            kernel.mount("proc", "/proc", "proc", flags, data)
        except OSError:
            continue
        return


def open_network() -> tuple[socket.socket, int]:
    """Bring up the loopback of the new network and listen there. The server answers, from its side of the wall."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    asked = struct.pack("16sH14x", b"lo", 0)
    flags = struct.unpack("16sH14x", fcntl.ioctl(listening, _GET_FLAGS, asked))[1]
    fcntl.ioctl(listening, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    return listening, int(listening.getsockname()[1])


def become_nobody(number: int) -> None:
    """Root becomes a user that no other call shares, so that a bound on processes counts this call alone."""
    if os.getuid() == 0 and _has_many_users():
        user = _UID_FIRST + number % _UID_COUNT
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _has_many_users() -> bool:
    try:
        handle = os.open("/proc/self/uid_map", os.O_RDONLY)
    except OSError:
        return True  # nobody could give a /proc to this namespace, which root alone lives without
    try:
        return int(os.read(handle, 4096).split()[-1]) > _UID_FIRST + _UID_COUNT
    finally:
        os.close(handle)


def readable(paths: Iterable[str], *, alone: bool) -> list[str]:
    """What Landlock lets a program read. /proc only where it shows nobody else."""
    return [*SYSTEM, *paths] if alone else [*SYSTEM, *paths, "/proc"]
