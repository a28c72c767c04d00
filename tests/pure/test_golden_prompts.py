"""Whole prompts, one file for each agent type: what a model reads is seen in review, word for word.

After a wanted change, write them anew with `PYTHONPATH=src python -m tests.pure.test_golden_prompts` and read the diff.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loci.agent.compile import PromptMetadata, compile_system
from loci.agent.kinds import kind_of
from loci.agent.prompts import BLOCK_DESCRIPTIONS, system_prompt
from loci.tools.rules import rules_text
from loci.types.agents import Agent, AgentType
from loci.types.memory import Block

GOLDEN = Path(__file__).parent / "golden"
MADE = [kind for kind in AgentType if kind is not AgentType.SPLIT_THREAD]
VALUES = {
    "persona": "I am attentive, warm and direct. I remember what people tell me, I think before I answer, and I say "
    "plainly when I do not know something.",
    "human": "Nothing is known about this person yet.",
}
BLOCKS = [
    Block(id=f"block-{label}", label=label, value=value, description=BLOCK_DESCRIPTIONS[label])
    for label, value in VALUES.items()
]
NUMBERS = PromptMetadata(compiled_at=datetime(2026, 11, 23, 23, 42, 38, tzinfo=UTC), recall_count=12)


def first_prompt(agent_type: AgentType) -> str:
    kind = kind_of(agent_type)
    agent = Agent(
        id="agent-1",
        name="Ada",
        agent_type=agent_type,
        system=system_prompt(kind.prompt),
        model="test/model",
        tool_rules=kind.tool_rules,
    )
    return (
        compile_system(agent, BLOCKS, rules_text=rules_text(kind.tool_rules, kind.base_tools), metadata=NUMBERS).text
        + "\n"
    )


def golden(agent_type: AgentType) -> Path:
    return GOLDEN / f"{agent_type.value}.txt"


@pytest.mark.parametrize("agent_type", MADE)
def test_the_first_prompt_of_each_agent_type(agent_type: AgentType) -> None:
    assert first_prompt(agent_type) == golden(agent_type).read_text(encoding="utf-8")


def test_there_is_no_golden_prompt_of_a_type_that_is_gone() -> None:
    assert set(GOLDEN.iterdir()) == set(map(golden, MADE))


if __name__ == "__main__":
    for made in MADE:
        golden(made).write_text(first_prompt(made), encoding="utf-8")
