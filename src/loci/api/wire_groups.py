"""A group of agents in the JSON of the Letta V1 API, whose names our own value has."""

from dataclasses import asdict

from loci.api.wire_messages import WireObject
from loci.types.groups import Group


def wire_group(group: Group) -> WireObject:
    """Group."""
    return {name: value for name, value in asdict(group).items() if name != "created_at"}
