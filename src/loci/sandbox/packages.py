"""Packages that tools need: installed once for each set of requirements, outside of the call, into a folder.

Nothing of a package runs on this side of the walls: only built distributions are installed, and npm runs no scripts.
The folder is put on the path inside the sandbox.
"""

import asyncio
import hashlib
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from loci.errors import BadRequest, NotAvailable
from loci.sandbox.base import Environment

REQUIREMENTS_MAX = 100
INSTALL_TIMEOUT_S = 300.0
_OUTPUT_SHOWN_CHARS = 1_500
_PIP = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9,._-]+\])?((==|>=|<=|~=|!=|<|>)[A-Za-z0-9.*+!_,<>=~-]+)?"
)
_NPM = re.compile(r"(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*(@[A-Za-z0-9.^~<>=*+_|-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where the packages of an environment lie."""

    python: Path | None = None
    node: Path | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """What a program must be able to read."""
        return tuple(str(path) for path in (self.python, self.node) if path is not None)


class Packages:
    """Installs environments once: two calls that need the same one wait for one installation."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}

    async def ready(self, environment: Environment) -> Installed:
        """The environment, installed if it is not yet. Raises BadRequest, NotAvailable."""
        if not environment.pip and not environment.npm:
            return Installed()
        return Installed(
            python=await self._installed("pip", environment.pip) if environment.pip else None,
            node=await self._installed("npm", environment.npm) if environment.npm else None,
        )

    async def forget(self, environment: Environment) -> None:
        """Take it away, so that it is installed anew."""
        for kind, requirements in (("pip", environment.pip), ("npm", environment.npm)):
            if requirements:
                await asyncio.to_thread(shutil.rmtree, self._place(kind, requirements), ignore_errors=True)

    async def _installed(self, kind: str, requirements: Sequence[str]) -> Path:
        check(kind, requirements)
        place = self._place(kind, requirements)
        async with self._locks.setdefault(place.name, asyncio.Lock()):
            if not place.is_dir():
                self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
                draft = Path(mkdtemp(dir=self._folder, prefix=".draft-"))
                try:
                    await _run(_pip(draft, requirements) if kind == "pip" else _npm(draft, requirements), requirements)
                    await asyncio.to_thread(_settle, draft, place)
                finally:
                    await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
        return place if kind == "pip" else place / "node_modules"

    def _place(self, kind: str, requirements: Sequence[str]) -> Path:
        version = f"{sys.version_info.major}.{sys.version_info.minor}" if kind == "pip" else ""
        text = "\n".join([kind, version, *sorted(requirements)])
        return self._folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _settle(draft: Path, place: Path) -> None:
    """Put an installation in its place, whole."""
    draft.chmod(0o755)
    draft.rename(place)


def check(kind: str, requirements: Sequence[str]) -> None:
    """Refuse what is no name of a package. Raises BadRequest."""
    if len(requirements) > REQUIREMENTS_MAX:
        raise BadRequest(f"More than {REQUIREMENTS_MAX} requirements are too many for one tool.")
    form = _PIP if kind == "pip" else _NPM
    for requirement in requirements:
        if not form.fullmatch(requirement):
            raise BadRequest(
                f"'{requirement[:100]}' is no requirement that can be installed.",
                hint="Give the name of a package and, if it matters, its version. Addresses and files are not taken.",
            )


def base_python() -> str:
    """The interpreter below any virtual environment that the server runs in: programs do not see its packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = Path(sys.base_prefix) / "bin" / version
    return str(found if found.exists() else Path(sys.executable).resolve())


def _pip(draft: Path, requirements: Sequence[str]) -> list[str]:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    built = ["--only-binary", ":all:", "--target", str(draft)]
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", base_python(), *built, "--", *requirements]
    return [base_python(), "-m", "pip", "install", "--quiet", "--no-input", *built, "--", *requirements]


def _npm(draft: Path, requirements: Sequence[str]) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise NotAvailable("npm is not installed, so npm requirements cannot be.", hint="Install Node.js.")
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", str(draft)]
    return [npm, "install", *quiet, "--", *requirements]


async def _run(command: Sequence[str], requirements: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(INSTALL_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise BadRequest(f"Installing {_listed(requirements)} took longer than {INSTALL_TIMEOUT_S:.0f} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise not_installed(requirements, output.decode(errors="replace"))


def not_installed(requirements: Sequence[str], said: str) -> BadRequest:
    """What to tell of requirements whose installer failed with these words."""
    return BadRequest(
        f"{_listed(requirements)} could not be installed: {said.strip()[-_OUTPUT_SHOWN_CHARS:]}",
        hint="Check the names and versions, and whether this machine reaches a package index. Only built packages "
        "(wheels) are installed.",
    )


def _listed(requirements: Sequence[str]) -> str:
    return ", ".join(requirements)


def prefix_of(program: str) -> str:
    """The folder of an installation: with what lies beside its `bin`, unless that is the system itself."""
    path = Path(program)
    return str(path.parent.parent if path.parent.name == "bin" else path)
