"""The system calls behind the walls, through ctypes: namespaces, mounts, Landlock, capabilities.

Numbers from the kernel's headers (include/uapi); those above 400 are the same on all architectures.
"""

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Iterable

NEW_MOUNTS, NEW_UTS, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
NEW_ANY = NEW_MOUNTS | NEW_UTS | NEW_IPC | NEW_USER | NEW_PIDS | NEW_NET | 0x02000000 | 0x00000080
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
_RDONLY, _NOSUID, _NODEV = 1, 2, 4
_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP = 1, 38, 36, 24
_SIGKILL = 9
_CAPSET = {"x86_64": 126, "aarch64": 91}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPABILITIES_V3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """The result of a call. Raises OSError."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _call(what: str, number: int, *arguments: object) -> int:
    return check(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    """Leave the namespaces named."""
    check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount something."""
    text = (source.encode(), target.encode(), kind.encode() if kind else None)
    check(_libc.mount(*text, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def freeze(path: str, *, recursive: bool = True) -> None:
    """Make a mount, and those below, read-only, without devices and set-user-id programs."""
    attributes = struct.pack("=QQQQ", _RDONLY | _NOSUID | _NODEV, 0, 0, 0)
    flags = ctypes.c_uint(_AT_RECURSIVE if recursive else 0)
    place = (ctypes.c_int(_AT_FDCWD), path.encode(), flags)
    _call(f"mount_setattr {path}", _MOUNT_SETATTR, *place, attributes, ctypes.c_size_t(len(attributes)))


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root; the old one is below it at `old`."""
    _call("pivot_root", _PIVOT_ROOT[os.uname().machine], new.encode(), old.encode())


def detach(path: str) -> None:
    """Take a mount away, however busy."""
    check(_libc.umount2(path.encode(), MNT_DETACH), "umount")


def die_with_parent() -> None:
    """Be killed when the process that made this one ends. Linux only; elsewhere closed sockets tell."""
    if os.uname().sysname == "Linux":
        check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of what descendants leave behind."""
    check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def no_new_privileges() -> None:
    """From here on no program that is started can have more rights than this process."""
    check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def drop_capabilities() -> None:
    """Keep none of root's rights, whatever the user."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break
    number = _CAPSET[os.uname().machine]
    _call("capset", number, struct.pack("=Ii", _CAPABILITIES_V3, 0), struct.pack("=6I", *[0] * 6))


def limit(kind: int, amount: int) -> None:
    """Bound a resource for this process and its children; a lower bound that is there already stays."""
    _, most = resource.getrlimit(kind)
    bound = amount if most == resource.RLIM_INFINITY else min(amount, most)
    resource.setrlimit(kind, (bound, bound))


_FILE_READ, _FILE_WRITE = 1 | 1 << 2, 1 << 1 | 1 << 14 | 1 << 15
_READ = _FILE_READ | 1 << 3
_WRITE_V1 = sum(1 << bit for bit in (1, 4, 5, 7, 8, 9, 10, 12))
_HANDLED_V1 = (1 << 13) - 1


def landlock_version() -> int:
    """Which Landlock the kernel has; 0 for none."""
    found = _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(0, int(found))


def landlock(read: Iterable[str], write: Iterable[str], *, tcp: bool) -> None:
    """From here on this process and its children see these paths only. Paths that are not there are passed over."""
    version = landlock_version()
    if not version:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    added = (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0) | (1 << 15 if version >= 5 else 0)
    handled = _HANDLED_V1 | added
    network = 0 if tcp or version < 4 else 3
    rules = struct.pack("=QQQ", handled, network, 3)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _call("landlock", _LANDLOCK_CREATE, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint(0))
    for path in read:
        _allow(ruleset, path, _READ & handled)
    for path in write:
        _allow(ruleset, path, (_READ | _WRITE_V1 | added) & handled)
    _call("landlock", _LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        access &= _FILE_READ | _FILE_WRITE
    rule = struct.pack("=Qi", access, handle)
    _call("landlock", _LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
    os.close(handle)
