"""All routes, in the order in which the API document lists them."""

from loci.api.routes import (
    agent_memory,
    agentfiles,
    agents,
    blocks,
    completions,
    conversations,
    internal,
    mcp_legacy,
    mcp_servers,
    memory_history,
    messages,
    models,
    runs,
    sandboxes,
    tool_sources,
    tools,
)

ROUTERS = (
    agentfiles.router,
    agents.router,
    agent_memory.router,
    blocks.router,
    memory_history.router,
    messages.router,
    conversations.router,
    completions.router,
    runs.router,
    tool_sources.router,
    tools.router,
    sandboxes.router,
    mcp_servers.router,
    mcp_legacy.router,
    models.router,
    internal.router,
)
