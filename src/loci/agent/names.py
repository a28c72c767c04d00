"""Names for agents that were given none: an adjective and a noun, easy to say and to find again."""

import random

_ADJECTIVES = (
    "Amber", "Ancient", "Bold", "Brave", "Bright", "Calm", "Candid", "Clever", "Coastal", "Cosmic", "Curious", "Deep",
    "Eager", "Early", "Emerald", "Fearless", "Gentle", "Golden", "Hidden", "Honest", "Ivory", "Keen", "Kind", "Lively",
    "Lucid", "Lunar", "Mellow", "Mindful", "Misty", "Modest", "Noble", "Nimble", "Northern", "Patient", "Quiet",
    "Quick", "Radiant", "Restful", "Rustic", "Silver", "Sincere", "Solar", "Steady", "Sunny", "Swift", "Tidal",
    "Velvet", "Vivid", "Warm", "Wise",
)  # fmt: skip
_NOUNS = (
    "Acorn", "Anchor", "Arch", "Aspen", "Badger", "Beacon", "Birch", "Bridge", "Brook", "Canyon", "Cedar", "Cloister",
    "Comet", "Compass", "Cove", "Crane", "Dolphin", "Falcon", "Fern", "Finch", "Garden", "Harbor", "Heron", "Island",
    "Juniper", "Lantern", "Lark", "Library", "Lighthouse", "Maple", "Meadow", "Orchard", "Otter", "Owl", "Palace",
    "Pine", "Plover", "Prairie", "Raven", "River", "Robin", "Sparrow", "Spruce", "Summit", "Tower", "Valley", "Walnut",
    "Willow", "Wren", "Yarrow",
)  # fmt: skip


def random_name() -> str:
    """An AdjectiveNoun name. Names need not be unique."""
    return random.choice(_ADJECTIVES) + random.choice(_NOUNS)  # noqa: S311  a name guards nothing
