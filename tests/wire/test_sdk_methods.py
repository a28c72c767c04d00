"""Each method of the unmodified Python client returns its declared type from a live server."""

import inspect
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest
from letta_client import Letta

from scripts import routes
from tests.wire.published import operations
from tests.wire.sdk_calls import NOT_BUILT, SDK_CALLS
from tests.wire.world import World, open_world


def methods(resource: Any, path: str = "") -> Iterator[str]:
    """The names of all methods below a client."""
    for name in dir(type(resource)):
        member = inspect.getattr_static(type(resource), name)
        if name.startswith(("_", "with_")):
            continue
        if isinstance(member, cached_property):
            yield from methods(getattr(resource, name), f"{path}{name}.")
        elif path and inspect.isfunction(member):
            yield path + name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("wire") / "home") as opened:
        yield opened


def test_every_method_is_called_or_named_with_a_reason() -> None:
    known = set(methods(Letta(base_url="http://localhost", api_key="none")))
    assert len(known) > 120
    assert known - set(SDK_CALLS) == set(NOT_BUILT)
    assert set(SDK_CALLS) <= known


def there() -> list[str]:
    """The methods whose operation this server has."""
    known = routes.ours()
    return [item.sdk for item in operations().values() if item.sdk in SDK_CALLS and routes.is_there(item, known)]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client says so of its own methods
@pytest.mark.parametrize("method", there())
def test_a_method_gives_what_it_declares(world: World, method: str) -> None:
    world.wrong.clear()
    SDK_CALLS[method](world)
    assert world.wrong == {}
