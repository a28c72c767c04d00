"""A seccomp filter, assembled by hand: which system calls a tool may not make.

Mostly a list of what is refused, so that ordinary programs run; what creates things (sockets, processes) is a list of
what is allowed. Without namespaces it is stricter: one process with threads, no sockets, signals to itself only, and
changes of mode, owner, times and attributes, which Landlock does not see, seem to work and do nothing.
"""

import ctypes
import errno
import os
import struct

from loci.sandbox.child.kernel import NEW_ANY, check

# name: (x86_64, aarch64); -1 where there is none
_REFUSED = {
    # other processes, and the kernel
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "move_pages": (279, 239), "migrate_pages": (256, 238),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "modify_ldt": (154, -1), "personality": (135, 92),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    # the machine
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60),
    "iopl": (172, -1), "ioperm": (173, -1), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "syslog": (103, 116), "vhangup": (153, 58), "setpriority": (141, 140), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "sched_setaffinity": (203, 122), "ioprio_set": (251, 30),
    # the view of the file system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268),
    "unshare": (272, 97), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fanotify_init": (300, 262),
}  # fmt: skip
_REFUSED_ALONE = {
    "fork": (57, -1), "vfork": (58, -1), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "shmget": (29, 194),
    "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "inotify_add_watch": (254, 27),
}  # fmt: skip
_PRETENDED_ALONE = {
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1),
    "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1),
    "futimesat": (261, -1), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466),
}  # fmt: skip
_SOCKET, _CLONE, _CLONE3, _IOCTL = (41, 198), (56, 220), (435, 435), (16, 29)
_KILL, _TGKILL, _PRLIMIT = (62, 129), (234, 131), (302, 261)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _JEQ, _JGE, _JSET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NR, _ARCH, _ARGS = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _DATAGRAM, _TYPE_MASK = 1, 2, 0xF
_FAKED_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which type on a terminal."""
_FILTER_MODE, _PR_SET_SECCOMP = 2, 22


class _Filter:
    """A program for the kernel's packet filter machine, which reads the number and arguments of a call."""

    def __init__(self, column: int, architecture: int) -> None:
        self._column = column
        self._lines: list[tuple[int, int, int, int]] = [
            (_LOAD, 0, 0, _ARCH),
            (_JEQ, 1, 0, architecture),
            (_RETURN, 0, 0, _KILL_PROCESS),
            (_LOAD, 0, 0, _NR),
            (_JGE, 0, 1, _X32),
            (_RETURN, 0, 0, _KILL_PROCESS),
        ]

    def answer(self, numbers: tuple[int, int], code: int) -> None:
        """Answer the call with an error number; 0 lets it seem to have worked."""
        number = numbers[self._column]
        if number >= 0:
            self._lines += [(_JEQ, 0, 1, number), (_RETURN, 0, 0, _ERRNO | code)]

    def judge(self, numbers: tuple[int, int], block: list[tuple[int, int, int, int]]) -> None:
        """Let a block decide about the call; what falls through it goes on to the next rule."""
        whole = [*block, (_LOAD, 0, 0, _NR)]
        self._lines += [(_JEQ, 0, len(whole), numbers[self._column]), *whole]

    def install(self) -> None:
        """Put it in force for this process and all that it starts."""
        lines = [*self._lines, (_RETURN, 0, 0, _ALLOW)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
        program = struct.pack("@HP", len(lines), ctypes.addressof(code))
        libc = ctypes.CDLL(None, use_errno=True)
        mode = ctypes.c_ulong(_FILTER_MODE)
        check(libc.prctl(_PR_SET_SECCOMP, mode, program, 0, 0), "seccomp")


def _one_of(argument: int, values: tuple[int, ...], mask: int | None = None) -> list[tuple[int, int, int, int]]:
    """A block: the argument must be one of these, or the call is refused."""
    masked = [] if mask is None else [(_AND, 0, 0, mask)]
    tests = [(_JEQ, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [(_LOAD, 0, 0, _ARGS + 8 * argument), *masked, *tests, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def restrict(*, alone: bool, network: bool) -> None:
    """Put the filter in force. `alone`: there are no namespaces around. Raises OSError."""
    column, architecture = _ARCHITECTURES[os.uname().machine]
    rules = _Filter(column, architecture)
    for numbers in _REFUSED.values():
        rules.answer(numbers, errno.EPERM)
    rules.answer(_CLONE3, errno.ENOSYS)
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    clone = [(_LOAD, 0, 0, _ARGS), (_JSET, 0, 1, NEW_ANY & ~0x80), refuse]
    rules.judge(_CLONE, [*clone, (_JSET, 1, 0, _CLONE_THREAD), refuse] if alone else clone)
    rules.judge(
        _IOCTL, [(_LOAD, 0, 0, _ARGS + 8), (_JEQ, 1, 0, _FAKED_INPUT[0]), (_JEQ, 0, 1, _FAKED_INPUT[1]), refuse]
    )
    if alone:
        _restrict_alone(rules)
    else:
        families = (_UNIX, _INET, _INET6) if network else (_UNIX,)
        kinds = _one_of(1, (_STREAM, _DATAGRAM), _TYPE_MASK)
        rules.judge(_SOCKET, [*_one_of(0, families), *kinds])
    rules.install()


def _restrict_alone(rules: _Filter) -> None:
    for numbers in _REFUSED_ALONE.values():
        rules.answer(numbers, errno.EPERM)
    for numbers in _PRETENDED_ALONE.values():
        rules.answer(numbers, 0)
    rules.answer(_SOCKET, errno.EPERM)
    own = os.getpid()
    for numbers in (_KILL, _TGKILL):
        rules.judge(numbers, _one_of(0, (own,)))
    rules.judge(_PRLIMIT, _one_of(0, (0, own)))
