"""What the common fixtures promise to every other test."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.conftest import NetworkUsed


async def test_a_plain_async_test_runs_on_asyncio():
    assert asyncio.get_running_loop() is not None


def test_each_test_has_an_empty_data_folder_of_its_own(tmp_path: Path):
    home = Path(os.environ["LOCI_HOME"])

    assert home.is_relative_to(tmp_path)
    assert not home.exists()


def test_no_account_of_the_developer_is_visible():
    assert [name for name in os.environ if name.endswith("_API_KEY")] == []


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1", "2001:db8::1"])
def test_the_network_is_out_of_reach(host: str):
    with pytest.raises(NetworkUsed):
        socket.create_connection((host, 80), timeout=1)


def test_this_machine_is_in_reach():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=1)
        client.close()
