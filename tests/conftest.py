"""What holds for every test: one event loop, no keys and no data folder of the developer, no network."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# Beginnings and endings of variables by which a developer's own accounts and servers could leak into a test.
FOREIGN_PREFIXES = (
    "ANTHROPIC_",
    "AWS_",
    "AZURE_",
    "GEMINI_",
    "GOOGLE_",
    "LETTA_",
    "LLAMACPP_",
    "LMSTUDIO_",
    "LOCI_",
    "OLLAMA_",
    "OPENAI_",
    "VLLM_",
)
FOREIGN_ENDINGS = ("_API_KEY", "_BASE_URL")
SLOW_FOLDERS = {"cli", "files", "flow", "fuzz", "letta_code", "mcp", "sandbox", "sdk", "wire"}

for variable in list(os.environ):
    if variable.startswith(FOREIGN_PREFIXES) or variable.endswith(FOREIGN_ENDINGS):
        del os.environ[variable]
# No authority of the world vouches for anything that a test speaks to: to read their list was half of a client's start.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)  # where there is none
# For fixtures that outlive a test; `own_environment` gives each test a folder of its own.
os.environ["LOCI_HOME"] = str(Path(tempfile.gettempdir()) / f"loci-tests-{os.getpid()}")


# What the collection makes stays for good: the collector need not look at it, now or later.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.parent.name not in SLOW_FOLDERS)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What measures time is found without the import of everything else."""
    if config.option.markexpr != "timing" or not collection_path.match("test_*.py"):
        return None
    return "mark.timing" not in collection_path.read_text(encoding="utf-8") or None


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path) -> Iterator[None]:
    """Give the test an empty data folder, and undo what it does to the environment."""
    before = dict(os.environ)
    os.environ["LOCI_HOME"] = str(tmp_path / "loci-home")
    yield
    os.environ.clear()
    os.environ.update(before)


class NetworkUsed(BaseException):
    """A test reached for another machine. It is no Exception, so that no error handling can hide it."""


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            raise NetworkUsed(f"{event} to {address[0]}")
    elif event == "socket.getaddrinfo" and not _is_here(arguments[0]):
        raise NetworkUsed(f"look-up of {arguments[0]}")


def _is_here(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name == "localhost":
        return True
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse_network)
