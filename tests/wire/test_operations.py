"""Each operation of the published API that a self-hosted server has is answered in its published shape."""

from collections.abc import Iterator

import pytest

from scripts import routes
from tests.wire.plain_calls import PLAIN_CALLS
from tests.wire.published import bare, operations
from tests.wire.world import World, open_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("wire") / "home") as opened:
        yield opened


def there() -> list[str]:
    """The operations that this server has."""
    known = routes.ours()
    return [name for name in PLAIN_CALLS if routes.is_there(operations()[name], known)]


@pytest.mark.parametrize("operation", there())
def test_an_operation_is_answered_in_its_shape(world: World, operation: str) -> None:
    world.wrong.clear()
    world.answered.clear()
    PLAIN_CALLS[operation](world)
    assert bare(operation) in {bare(name) for name in world.answered}
    assert world.wrong == {}


def test_the_page_of_routes_says_what_is_there() -> None:
    assert routes.PAGE.read_text(encoding="utf-8") == routes.page(), "run python -m scripts.routes --write"


def test_what_is_there_is_checked() -> None:
    known = routes.ours()
    unchecked = [
        item.name
        for item in operations().values()
        if not item.hosted and routes.is_there(item, known) and not routes.checked(item)
    ]
    assert unchecked == []
