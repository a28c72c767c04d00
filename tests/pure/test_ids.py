"""Ids: of the form that clients check, in the order of their making, never twice."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from loci.ids import is_id, new_id
from loci.store.conversations import default_id


def test_ids_sort_as_they_were_made_and_come_once():
    made = [new_id("agent") for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(is_id(one, "agent") and not is_id(one, "block") for one in made)
    assert len({one[-17:] for one in made}) == len(made), "the random part is random"


def test_threads_share_no_id():
    with ThreadPoolExecutor(8) as pool:
        made = [one for batch in pool.map(lambda _: [new_id("run") for _ in range(500)], range(16)) for one in batch]
    assert len(set(made)) == 8_000


FORK = """
import os
from loci.ids import new_id
new_id("message")
child = os.fork()
os.write(1, new_id("message")[-17:].encode() + b" ")
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_makes_ids_of_its_own():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FORK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    one, other = done.stdout.split()
    assert one != other


def test_the_main_thread_has_the_uuid_of_its_agent():
    agent_id = new_id("agent")
    assert default_id(agent_id) == agent_id.replace("agent-", "conv-")
