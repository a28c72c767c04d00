"""Which walls this machine has. They are tried, not guessed: some systems forbid what their kernel could do.

In this order: namespaces of the call's own, which need nothing installed; the distribution's bubblewrap, which some
systems allow what they forbid to others; Landlock and seccomp alone. The stronger ones include the weaker.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loci.config import NO_WALLS
from loci.sandbox.base import Standing
from loci.sandbox.child.frames import Means

_BOOT = (
    "import sys, types; package = types.ModuleType('loci'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['loci'] = package; from loci.sandbox.child.zygote import main; main()"
)
"""Loads the child's side from our folder, without that folder on the path where tools look for packages."""
_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """One way to keep programs apart: a prefix of the command, and what the warden does in addition."""

    name: str
    means: Means
    words: str
    prefix: tuple[str, ...] = ()

    def command(self, python: Sequence[str], read: Sequence[str]) -> list[str]:
        """How to start the zygote, so that it can read these paths."""
        boot = [*python, "-c", _BOOT, str(_PACKAGE)]
        if self.name == "bubblewrap":
            bound = [word for path in [*read, str(_PACKAGE / "sandbox")] for word in ("--ro-bind-try", path, path)]
            return [*self.prefix, *bound, "--", *boot]
        if self.name == "seatbelt":
            return [*self.prefix, _profile([*read, str(_PACKAGE)]), *boot]
        return boot


_SYSTEM_BINDS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ssl", "/etc/pki", "/etc/ld.so.cache")
_BUBBLEWRAP = (
    "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin",
    "--setenv", "LANG", "C.UTF-8", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",  # noqa: S108  its own
)  # fmt: skip


def candidates() -> list[Walls]:
    """What could work here, the strongest first."""
    if sys.platform == "darwin":
        words = "seatbelt (sandbox-exec): no network, no files but the interpreter's"
        return [Walls(name="seatbelt", means="none", words=words, prefix=("/usr/bin/sandbox-exec", "-p"))]
    found = [
        Walls(
            name="namespaces",
            means="namespaces",
            words="each call in namespaces of its own (mounts, processes, network, IPC), with Landlock and seccomp",
        )
    ]
    bubblewrap = shutil.which("bwrap")
    if bubblewrap:
        binds = [word for path in _SYSTEM_BINDS for word in ("--ro-bind-try", path, path)]
        words = "bubblewrap around each environment, with Landlock and seccomp around each call"
        prefix = (bubblewrap, *_BUBBLEWRAP, *binds)
        found.append(Walls(name="bubblewrap", means="landlock", words=words, prefix=prefix))
    words = "Landlock and seccomp, one process for each call, no sockets; this system forbids namespaces"
    found.append(Walls(name="landlock", means="landlock", words=words))
    return found


OPEN = Walls(name="none", means="none", words="none: programs run with the rights of the server")


def of_choice(choice: str) -> list[Walls]:
    """The walls to try; none for a choice that has none."""
    if choice == NO_WALLS:
        return [OPEN]
    return [walls for walls in candidates() if choice in ("auto", walls.name)]


def standing_of(walls: Walls | None, tried: Sequence[tuple[str, str]]) -> Standing:
    """What to tell the operator."""
    if walls is OPEN:
        message = "Tools from source run without any sandbox, with the rights of the server: LOCI_SANDBOX says so."
        return Standing(ok=True, means="none", message=message, hint="Unset LOCI_SANDBOX to have them isolated.")
    if walls is not None:
        return Standing(ok=True, means=walls.name, message=f"Tools from source are isolated: {walls.words}.")
    if not tried:
        message = "Tools from source are not run: LOCI_SANDBOX is off, or names what this system does not have."
        return Standing(ok=False, means="none", message=message, hint="Unset LOCI_SANDBOX to have the best there is.")
    reasons = "; ".join(f"{name}: {reason}" for name, reason in tried)
    return Standing(
        ok=False,
        means="none",
        message=f"Tools from source are not run: this machine isolates nothing ({reasons}).",
        hint="Allow user namespaces, install bubblewrap, or use a kernel with Landlock (5.13 or newer).",
    )


def _profile(read: Sequence[str]) -> str:
    """A seatbelt profile: everything is refused but what an interpreter needs."""
    folders = ["/usr", "/bin", "/System", "/Library/Apple", "/private/var/db/dyld", "/opt/homebrew", *read]
    allowed = " ".join(f'(subpath "{path}")' for path in folders if '"' not in path)
    return (
        "(version 1)(deny default)(allow process-fork)(allow process-exec)(allow signal (target same-sandbox))"
        f'(allow sysctl-read)(allow file-read-metadata)(allow file-read* {allowed} (literal "/") '
        '(literal "/dev/null") (literal "/dev/urandom") (literal "/dev/random"))'
        '(allow file-write* (regex #"/loci-call-[^/]+") (literal "/dev/null"))'
        '(allow file-read* (regex #"/loci-call-[^/]+"))'
    )
