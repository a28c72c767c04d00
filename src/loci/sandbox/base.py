"""What a sandbox is: it runs a program of somebody else's, within bounds, and says what came of it.

A program has no network, sees none of the server's files, environment or processes, and gives back JSON. What it
printed is text and nothing more. Behind the port stand this machine (`local`) and hosted machines (`remote`).
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from loci.types.json import EMPTY, JsonObject

Language: TypeAlias = Literal["python", "javascript", "typescript"]
Limit: TypeAlias = Literal["time", "computing", "memory", "processes", "disk", "file", "result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one call may use."""

    wall_s: float = 180.0
    cpu_s: int = 60
    memory_bytes: int = 1_000_000_000
    processes: int = 64
    files: int = 256
    file_bytes: int = 64_000_000
    disk_bytes: int = 128_000_000
    output_bytes: int = 200_000
    result_bytes: int = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is installed where a program runs: requirements as their installers write them (`name==1.0`, `name@1`)."""

    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    template: str | None = None
    """What a hired machine is made from; this machine has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. With a `name` that function is called with `args`; without one the lines are run as a script."""

    source: str
    language: Language = "python"
    name: str | None = None
    args: JsonObject = field(default_factory=lambda: EMPTY)
    order: tuple[str, ...] = ()
    """The names of the arguments in the order in which the function takes them."""
    agent_state: JsonObject | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Its environment variables: all that it has."""
    environment: Environment = field(default_factory=Environment)
    network: bool = False
    """Whether it may reach the public internet."""
    wall_s: float | None = None
    """A shorter time limit than the sandbox's own."""
    document: AsyncIterator[bytes] | None = None
    """What it reads from its standard input, where the sandbox offers that (this machine's does)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of it. Exactly one of `value` and `error` is set; `blocks` are the texts that it changed, by id."""

    value: str | None = None
    error: str | None = None
    beyond: Limit | None = None
    """The limit that it was ended for, if it was."""
    blocks: JsonObject = field(default_factory=lambda: EMPTY)
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether programs can be run, and how they are kept apart from the machine, in words for the operator."""

    ok: bool
    means: str
    message: str
    hint: str | None = None


class Sandbox(Protocol):
    """Runs programs. One that failed is an answer (`Ran.error`); NotAvailable says that none can be run."""

    async def run(self, organization_id: str, program: Program) -> Ran:
        """Run it. Raises NotAvailable, BadRequest for requirements that cannot be installed."""
        ...

    async def standing(self) -> Standing:
        """Look whether programs can be run here."""
        ...

    async def rebuild(self, environment: Environment) -> None:
        """Install an environment anew. Raises NotAvailable, BadRequest."""
        ...

    async def close(self) -> None:
        """End what runs."""
        ...
