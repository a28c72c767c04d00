"""Every method of the Python client, called as its users call it. Each call makes what it needs."""

import json
from collections.abc import Callable
from typing import Any

from tests.wire.makers import (
    access_token,
    archive,
    block,
    block_of_agent,
    exported,
    first_message,
    folder,
    identity,
    long_talk,
    mcp_server,
    new_mcp_server,
    remembering,
    scheduled,
    talked,
    template,
    uploaded,
    with_file,
)
from tests.wire.world import ROLL, World

Call = Callable[[World], Any]

NOT_BUILT = {
    "environments.list": "computers that the hosted service could reach: it has no counterpart here",
    "environments.retrieve": "computers that the hosted service could reach: it has no counterpart here",
    "environments.send_message": "computers that the hosted service could reach: it has no counterpart here",
}


def _agents() -> dict[str, Call]:
    return {
        "agents.create": lambda w: w.agent(),
        "agents.list": lambda w: list(w.sdk.agents.list(limit=2)),
        "agents.retrieve": lambda w: w.sdk.agents.retrieve(
            w.agent().id, include=["agent.blocks", "agent.tools", "agent.tags", "agent.sources", "agent.secrets"]
        ),
        "agents.update": lambda w: w.sdk.agents.update(w.agent().id, description="Remembers."),
        "agents.delete": lambda w: w.sdk.agents.delete(w.agent().id),
        "agents.recompile": lambda w: w.sdk.agents.recompile(w.agent().id),
        "agents.export_file": lambda w: w.http.get(f"/v1/agents/{w.agent().id}/export").raise_for_status(),
        "agents.import_file": lambda w: w.sdk.agents.import_file(file=("a.af", exported(w))),
        "agents.blocks.list": lambda w: list(w.sdk.agents.blocks.list(w.agent().id)),
        "agents.blocks.retrieve": lambda w: w.sdk.agents.blocks.retrieve("human", agent_id=w.agent().id),
        "agents.blocks.update": lambda w: w.sdk.agents.blocks.update("human", agent_id=w.agent().id, value="Kim."),
        "agents.blocks.attach": lambda w: w.sdk.agents.blocks.attach(block(w).id, agent_id=w.agent().id),
        "agents.blocks.detach": _detach_block,
        "agents.tools.list": lambda w: list(w.sdk.agents.tools.list(w.agent().id)),
        "agents.tools.attach": lambda w: w.sdk.agents.tools.attach(w.tool().id, agent_id=w.agent().id),
        "agents.tools.detach": _detach_tool,
        "agents.tools.run": _run_tool,
        "agents.tools.update_approval": lambda w: w.sdk.agents.tools.update_approval(
            "memory_insert", agent_id=w.agent().id, body_requires_approval=True
        ),
        "agents.passages.create": lambda w: w.sdk.agents.passages.create(w.agent().id, text="Tea.", tags=["t"]),
        "agents.passages.list": lambda w: w.sdk.agents.passages.list(remembering(w)[0]),
        "agents.passages.search": lambda w: w.sdk.agents.passages.search(remembering(w)[0], query="tea"),
        "agents.passages.delete": _delete_passage,
        "agents.archives.attach": lambda w: w.sdk.agents.archives.attach(archive(w).id, agent_id=w.agent().id),
        "agents.archives.detach": _detach_archive,
        "agents.identities.attach": lambda w: w.sdk.agents.identities.attach(identity(w), agent_id=w.agent().id),
        "agents.identities.detach": _detach_identity,
        "agents.schedule.create": scheduled,
        "agents.schedule.list": lambda w: w.sdk.agents.schedule.list(scheduled(w)[0]),
        "agents.schedule.retrieve": lambda w: _scheduled(w, "retrieve"),
        "agents.schedule.delete": lambda w: _scheduled(w, "delete"),
    }


def _agent_messages() -> dict[str, Call]:
    return {
        "agents.messages.create": lambda w: w.turn(w.agent().id),
        "agents.messages.stream": lambda w: list(w.sdk.agents.messages.stream(w.agent().id, input="@say Hello.")),
        "agents.messages.create_async": lambda w: w.sdk.agents.messages.create_async(w.agent().id, input="@say Hi."),
        "agents.messages.list": lambda w: list(w.sdk.agents.messages.list(talked(w))),
        "agents.messages.reset": lambda w: w.sdk.agents.messages.reset(talked(w)),
        "agents.messages.compact": _compact_agent,
        "agents.messages.cancel": _cancel_agent,
    }


def _conversations() -> dict[str, Call]:
    return {
        "conversations.create": lambda w: w.sdk.conversations.create(agent_id=w.agent().id),
        "conversations.list": lambda w: w.sdk.conversations.list(agent_id=w.agent().id),
        "conversations.retrieve": lambda w: w.sdk.conversations.retrieve(w.conversation().id),
        "conversations.update": lambda w: w.sdk.conversations.update(w.conversation().id, summary="A chat"),
        "conversations.delete": lambda w: w.sdk.conversations.delete(w.conversation().id),
        "conversations.fork": lambda w: w.sdk.conversations.fork(w.conversation().id),
        "conversations.recompile": lambda w: w.sdk.conversations.recompile(w.conversation().id),
        "conversations.cancel": _cancel_conversation,
        "conversations.messages.create": lambda w: list(
            w.sdk.conversations.messages.create(w.conversation().id, input="@say Hello.")
        ),
        "conversations.messages.list": lambda w: list(w.sdk.conversations.messages.list(w.conversation().id)),
        "conversations.messages.stream": _resume_conversation,
        "conversations.messages.compact": _compact_conversation,
    }


def _memory() -> dict[str, Call]:
    return {
        "blocks.create": block,
        "blocks.list": lambda w: list(w.sdk.blocks.list(limit=2)),
        "blocks.retrieve": lambda w: w.sdk.blocks.retrieve(block(w).id),
        "blocks.update": lambda w: w.sdk.blocks.update(block(w).id, value="New."),
        "blocks.delete": lambda w: w.sdk.blocks.delete(block(w).id),
        "blocks.agents.list": lambda w: list(w.sdk.blocks.agents.list(block_of_agent(w))),
        "archives.create": archive,
        "archives.list": lambda w: list(w.sdk.archives.list(limit=2)),
        "archives.retrieve": lambda w: w.sdk.archives.retrieve(archive(w).id),
        "archives.update": lambda w: w.sdk.archives.update(archive(w).id, name="Attic"),
        "archives.delete": lambda w: w.sdk.archives.delete(archive(w).id),
        "archives.passages.create": lambda w: w.sdk.archives.passages.create(archive(w).id, text="Tea."),
        "archives.passages.create_many": lambda w: w.sdk.archives.passages.create_many(
            archive(w).id, passages=[{"text": "Tea."}, {"text": "Cake."}]
        ),
        "archives.passages.delete": _delete_archived,
        "passages.search": lambda w: w.sdk.passages.search(query="tea", agent_id=remembering(w)[0]),
        "messages.list": lambda w: (talked(w), w.sdk.messages.list(limit=2)),
        "messages.retrieve": lambda w: w.sdk.messages.retrieve(first_message(w)),
        "messages.search": lambda w: w.sdk.messages.search(query="hello", agent_id=talked(w)),
        "tags.list": lambda w: (w.agent(), w.sdk.tags.list()),
    }


def _files() -> dict[str, Call]:
    return {
        "folders.create": folder,
        "folders.list": lambda w: list(w.sdk.folders.list(limit=2)),
        "folders.retrieve": lambda w: w.sdk.folders.retrieve(folder(w).id),
        "folders.update": lambda w: w.sdk.folders.update(folder(w).id, name=w.name("folder")),
        "folders.delete": lambda w: w.sdk.folders.delete(folder(w).id),
        "folders.agents.list": lambda w: list(w.sdk.folders.agents.list(with_file(w)[1])),
        "folders.files.upload": lambda w: uploaded(w, folder(w).id),
        "folders.files.list": lambda w: list(w.sdk.folders.files.list(with_file(w)[1])),
        "folders.files.retrieve": _retrieve_file,
        "folders.files.delete": _delete_file,
        "agents.folders.attach": lambda w: w.sdk.agents.folders.attach(folder(w).id, agent_id=w.agent().id),
        "agents.folders.list": lambda w: list(w.sdk.agents.folders.list(with_file(w)[0])),
        "agents.folders.detach": _detach_folder,
        "agents.files.list": lambda w: list(w.sdk.agents.files.list(with_file(w)[0])),
        "agents.files.open": lambda w: _file_of_agent(w, "open"),
        "agents.files.close": lambda w: _file_of_agent(w, "close"),
        "agents.files.close_all": lambda w: w.sdk.agents.files.close_all(with_file(w)[0]),
    }


def _work() -> dict[str, Call]:
    return {
        "runs.list": lambda w: list(w.sdk.runs.list(agent_id=talked(w))),
        "runs.retrieve": lambda w: w.sdk.runs.retrieve(w.run(w.agent().id).id),
        "runs.messages.list": lambda w: list(w.sdk.runs.messages.list(w.run(w.agent().id).id)),
        "runs.messages.stream": _resume_run,
        "runs.steps.list": lambda w: list(w.sdk.runs.steps.list(w.run(w.agent().id).id)),
        "runs.usage.retrieve": lambda w: w.sdk.runs.usage.retrieve(w.run(w.agent().id).id),
        "runs.trace.retrieve": lambda w: w.sdk.runs.trace.retrieve(w.run(w.agent().id).id),
        "steps.list": lambda w: list(w.sdk.steps.list(agent_id=talked(w))),
        "steps.retrieve": lambda w: w.sdk.steps.retrieve(w.step(w.agent().id).id),
        "steps.metrics.retrieve": lambda w: w.sdk.steps.metrics.retrieve(w.step(w.agent().id).id),
        "steps.trace.retrieve": lambda w: w.sdk.steps.trace.retrieve(w.step(w.agent().id).id),
        "steps.messages.list": lambda w: list(w.sdk.steps.messages.list(w.step(w.agent().id).id)),
        "steps.feedback.create": lambda w: w.sdk.steps.feedback.create(w.step(w.agent().id).id, feedback="positive"),
        "models.list": lambda w: w.sdk.models.list(),
        "models.embeddings.list": lambda w: w.sdk.models.embeddings.list(),
        "tools.create": lambda w: w.tool(),
        "tools.upsert": lambda w: w.sdk.tools.upsert(source_code=ROLL),
        "tools.list": lambda w: list(w.sdk.tools.list(limit=50)),
        "tools.retrieve": lambda w: w.sdk.tools.retrieve(w.tool().id),
        "tools.update": lambda w: w.sdk.tools.update(w.tool().id, description="Rolls."),
        "tools.delete": lambda w: w.sdk.tools.delete(w.tool().id),
        "tools.search": lambda w: w.sdk.tools.search(query="archival memory"),
        "access_tokens.create": access_token,
        "access_tokens.list": lambda w: (access_token(w), w.sdk.access_tokens.list()),
        "access_tokens.delete": lambda w: w.sdk.access_tokens.delete(access_token(w).token),
    }


def _templates() -> dict[str, Call]:
    return {
        "templates.create": template,
        "templates.save": lambda w: w.sdk.templates.save(template(w)),
        "templates.update": lambda w: w.sdk.templates.update(template(w), agent_file_json=json.loads(exported(w))),
        "templates.rollback": _roll_back,
        "templates.delete": lambda w: w.sdk.templates.delete(template(w)),
        "templates.agents.create": lambda w: w.sdk.templates.agents.create(f"{template(w)}:latest"),
    }


def _mcp() -> dict[str, Call]:
    return {
        "mcp_servers.create": new_mcp_server,
        "mcp_servers.list": lambda w: (mcp_server(w), w.sdk.mcp_servers.list()),
        "mcp_servers.retrieve": lambda w: w.sdk.mcp_servers.retrieve(mcp_server(w)),
        "mcp_servers.update": lambda w: w.sdk.mcp_servers.update(
            new_mcp_server(w), config={"mcp_server_type": "stdio", "command": "python", "args": ["-V"]}
        ),
        "mcp_servers.delete": lambda w: w.sdk.mcp_servers.delete(new_mcp_server(w)),
        "mcp_servers.refresh": lambda w: w.sdk.mcp_servers.refresh(mcp_server(w)),
        "mcp_servers.tools.list": lambda w: w.sdk.mcp_servers.tools.list(mcp_server(w)),
        "mcp_servers.tools.retrieve": lambda w: _mcp_tool(w, "retrieve"),
        "mcp_servers.tools.run": lambda w: _mcp_tool(w, "run", args={"text": "x"}),
    }


def _detach_block(w: World) -> Any:
    agent = w.agent()
    return w.sdk.agents.blocks.detach(agent.blocks[0].id, agent_id=agent.id)


def _detach_tool(w: World) -> Any:
    agent = w.agent()
    return w.sdk.agents.tools.detach(agent.tools[0].id, agent_id=agent.id)


def _run_tool(w: World) -> Any:
    tool = w.tool()
    result = w.sdk.agents.tools.run(tool.name, agent_id=w.agent(tool_ids=[tool.id]).id, args={"sides": 6})
    assert result.status == "success", result
    return result


def _delete_passage(w: World) -> Any:
    agent_id, passage_id = remembering(w)
    return w.sdk.agents.passages.delete(passage_id, agent_id=agent_id)


def _detach_archive(w: World) -> Any:
    agent_id, archive_id = w.agent().id, archive(w).id
    w.sdk.agents.archives.attach(archive_id, agent_id=agent_id)
    return w.sdk.agents.archives.detach(archive_id, agent_id=agent_id)


def _detach_identity(w: World) -> Any:
    agent_id, identity_id = w.agent().id, identity(w)
    w.sdk.agents.identities.attach(identity_id, agent_id=agent_id)
    return w.sdk.agents.identities.detach(identity_id, agent_id=agent_id)


def _scheduled(w: World, method: str) -> Any:
    agent_id, schedule_id = scheduled(w)
    return getattr(w.sdk.agents.schedule, method)(schedule_id, agent_id=agent_id)


def _compact_agent(w: World) -> Any:
    agent_id = w.agent().id
    long_talk(w, agent_id)
    return w.sdk.agents.messages.compact(agent_id)


def _slow(w: World, agent_id: str, conversation_id: str = "default") -> str:
    """A run that takes its time, in the background; its id."""
    stream = w.sdk.conversations.messages.create(
        conversation_id,
        input="@wait 20\n@say Late.",
        background=True,
        **({"agent_id": agent_id} if conversation_id == "default" else {}),
    )
    first = next(iter(stream))
    stream.close()
    return str(first.run_id)


def _cancel_agent(w: World) -> Any:
    agent_id = w.agent().id
    run_id = _slow(w, agent_id)
    return w.sdk.agents.messages.cancel(agent_id, run_ids=[run_id])


def _cancel_conversation(w: World) -> Any:
    made = w.sdk.conversations.create(agent_id=w.agent().id)
    _slow(w, made.agent_id, made.id)
    return w.sdk.conversations.cancel(made.id)


def _compact_conversation(w: World) -> Any:
    made = w.conversation()
    for number in range(6):
        list(w.sdk.conversations.messages.create(made.id, input=f"@say Answer {number}."))
    return w.sdk.conversations.messages.compact(made.id)


def _resume_conversation(w: World) -> Any:
    made = w.sdk.conversations.create(agent_id=w.agent().id)
    list(w.sdk.conversations.messages.create(made.id, input="@wait 0.3\n@say Hello.", background=True))
    run = next(iter(w.sdk.runs.list(agent_id=made.agent_id)))
    events = list(w.sdk.conversations.messages.stream(made.id, run_id=run.id, starting_after=0))
    assert "assistant_message" in {event.message_type for event in events}
    return events


def _resume_run(w: World) -> Any:
    agent_id = w.agent().id
    list(w.sdk.agents.messages.create(agent_id, input="@say Hello.", streaming=True, background=True))
    run = next(iter(w.sdk.runs.list(agent_id=agent_id)))
    events = list(w.sdk.runs.messages.stream(run.id, starting_after=0))
    assert "assistant_message" in {event.message_type for event in events}
    return events


def _delete_archived(w: World) -> Any:
    archive_id = archive(w).id
    made = w.sdk.archives.passages.create(archive_id, text="Tea.")
    return w.sdk.archives.passages.delete(made.id, archive_id=archive_id)


def _retrieve_file(w: World) -> Any:
    _, folder_id, file_id = with_file(w)
    seen = w.sdk.folders.files.retrieve(file_id, folder_id=folder_id, include_content=True)
    assert "80 degrees" in seen.content
    return seen


def _delete_file(w: World) -> Any:
    folder_id = folder(w).id
    return w.sdk.folders.files.delete(uploaded(w, folder_id).id, folder_id=folder_id)


def _detach_folder(w: World) -> Any:
    agent_id, folder_id, _ = with_file(w)
    return w.sdk.agents.folders.detach(folder_id, agent_id=agent_id)


def _file_of_agent(w: World, method: str) -> Any:
    agent_id, _, file_id = with_file(w)
    return getattr(w.sdk.agents.files, method)(file_id, agent_id=agent_id)


def _roll_back(w: World) -> Any:
    name = template(w)
    w.sdk.templates.save(name)
    return w.sdk.templates.rollback(name, version="1")


def _mcp_tool(w: World, method: str, **options: Any) -> Any:
    server_id = mcp_server(w)
    tools = w.sdk.mcp_servers.tools.list(server_id)
    return getattr(w.sdk.mcp_servers.tools, method)(tools[0].id, mcp_server_id=server_id, **options)


SDK_CALLS: dict[str, Call] = {
    **_agents(),
    **_agent_messages(),
    **_conversations(),
    **_memory(),
    **_files(),
    **_work(),
    **_templates(),
    **_mcp(),
}
"""By the name that the method has below the client."""
