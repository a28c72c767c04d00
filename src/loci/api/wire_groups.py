"""A group of agents in the JSON of the Letta V1 API."""

from loci.api.wire_messages import WireObject
from loci.types.groups import Group


def wire_group(group: Group) -> WireObject:
    """Group."""
    return {
        "id": group.id,
        "manager_type": group.manager_type.value,
        "manager_agent_id": group.manager_agent_id,
        "agent_ids": list(group.agent_ids),
        "description": group.description,
        "shared_block_ids": list(group.shared_block_ids),
        "max_turns": group.max_turns,
        "termination_token": group.termination_token,
        "sleeptime_agent_frequency": group.sleeptime_agent_frequency,
        "turns_counter": group.turns_counter,
        "last_processed_message_id": group.last_processed_message_id,
        "max_message_buffer_length": group.max_message_buffer_length,
        "min_message_buffer_length": group.min_message_buffer_length,
        "hidden": group.hidden,
        "project_id": group.project_id,
        "template_id": group.template_id,
        "base_template_id": group.base_template_id,
        "deployment_id": group.deployment_id,
    }
