"""Requests made from the API's own document, well and badly formed: none breaks the server, none hangs it.

`LOCI_FUZZ_EXAMPLES` says how many requests of either sort each operation gets.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from scripts import routes
from tests.fuzz.room import Room, furnish
from tests.wire.world import open_world

EXAMPLES = int(os.environ.get("LOCI_FUZZ_EXAMPLES", "3"))
TIMEOUT_S = 20.0
SERVER_FAULT = 500
NOT_AVAILABLE = 501
BAD_GATEWAY = 502

SCHEMA: Any = schemathesis.openapi.from_dict(routes.document())
OPERATIONS: dict[str, Any] = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if found.ok() is not None
}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_world(tmp_path_factory.mktemp("fuzz") / "home") as world:
        yield furnish(world)
        assert world.http.get("/v1/health").is_success, "the server has died"


def takes_anything(operation: Any) -> bool:
    """Whether there is anything in its requests that could be wrong."""
    return bool(operation.path_parameters or operation.query or operation.body)


def cases() -> Iterator[Any]:
    for label, operation in OPERATIONS.items():
        yield pytest.param(label, GenerationMode.POSITIVE, id=f"{label} well formed")
        if takes_anything(operation):
            yield pytest.param(label, GenerationMode.NEGATIVE, id=f"{label} badly formed")


@pytest.mark.parametrize(("label", "mode"), list(cases()))
def test_no_request_breaks_or_hangs_the_server(room: Room, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]

    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    def send(case: Any, known: bool) -> None:
        if known and case.method != "DELETE":
            room.place(case.path_parameters)
        response = case.call(base_url=room.url, timeout=TIMEOUT_S)
        answered = response.status_code < SERVER_FAULT or response.status_code in (NOT_AVAILABLE, BAD_GATEWAY)
        assert answered, f"{response.status_code} {response.text[:500]}\n{case.as_curl_command()[:2000]}"

    send()
