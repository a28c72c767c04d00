"""Every operation that the Python client has no method for, as plain requests. Each call makes what it needs."""

import json
from collections.abc import Callable
from typing import Any

from tests.mcp.servers import hostile
from tests.wire.makers import (
    archive,
    block,
    block_of_agent,
    exported,
    folder,
    group,
    identity,
    mcp_server,
    provider,
    provider_account,
    talked,
    template,
    uploaded,
    with_file,
)
from tests.wire.world import ROLL, World

Call = Callable[[World], Any]
SEARCH = {"query": "hello", "search_mode": "hybrid"}
EDIT = {"message_type": "user_message", "content": "Changed."}
OWNER = {"template_id": "template-1", "base_template_id": "base-1", "deployment_id": "deployment-1"}


def get(path: str) -> Call:
    """A request without anything in it."""
    return lambda w: w.call("GET", path)


def _tools() -> dict[str, Call]:
    return {
        "GET /v1/tools/count": get("/v1/tools/count"),
        "POST /v1/tools/add-base-tools": lambda w: w.call("POST", "/v1/tools/add-base-tools"),
        "POST /v1/tools/run": lambda w: w.call("POST", "/v1/tools/run", {"source_code": ROLL, "args": {"sides": 6}}),
        "POST /v1/tools/generate-schema": lambda w: w.call("POST", "/v1/tools/generate-schema", {"code": ROLL}),
        "POST /v1/tools/generate-tool": lambda w: w.call(
            "POST",
            "/v1/tools/generate-tool",
            {"tool_name": "roll", "prompt": f"Roll.\n@say ```python\n{ROLL}```", "validation_errors": []},
        ),
    }


def _mcp() -> dict[str, Call]:
    servers = "/v1/tools/mcp/servers"
    return {
        f"GET {servers}": get(servers),
        f"PUT {servers}": _new_legacy_mcp,
        f"GET {servers}/{{mcp_server_name}}/tools": lambda w: w.call("GET", f"{servers}/{_legacy_mcp(w)}/tools"),
        f"POST {servers}/{{mcp_server_name}}/resync": lambda w: w.call("POST", f"{servers}/{_legacy_mcp(w)}/resync"),
        f"POST {servers}/{{mcp_server_name}}/{{mcp_tool_name}}": lambda w: w.call(
            "POST", f"{servers}/{_legacy_mcp(w)}/echo"
        ),
        f"PATCH {servers}/{{mcp_server_name}}": lambda w: w.call(
            "PATCH", f"{servers}/{_new_legacy_mcp(w)}", {"stdio_config": _stdio("renamed")}
        ),
        f"DELETE {servers}/{{mcp_server_name}}": lambda w: w.call("DELETE", f"{servers}/{_new_legacy_mcp(w)}"),
        f"POST {servers}/test": lambda w: w.call("POST", f"{servers}/test", _stdio(w.name("mcp"))),
        f"POST {servers}/connect": lambda w: w.call("POST", f"{servers}/connect", _stdio(w.name("mcp"))),
        f"POST {servers}/{{mcp_server_name}}/tools/{{tool_name}}/execute": lambda w: w.call(
            "POST", f"{servers}/{_legacy_mcp(w)}/tools/echo/execute", {"args": {"text": "x"}}
        ),
        "GET /v1/mcp-servers/connect/{mcp_server_id}": lambda w: w.call(
            "GET", f"/v1/mcp-servers/connect/{mcp_server(w)}"
        ),
    }


def _stdio(name: str) -> dict[str, Any]:
    config = hostile("fine")
    return {"server_name": name, "type": config.pop("mcp_server_type"), **config}


def _new_legacy_mcp(w: World) -> str:
    name = w.name("mcp")
    w.call("PUT", "/v1/tools/mcp/servers", _stdio(name))
    return name


def _legacy_mcp(w: World) -> str:
    if "legacy" not in w.kept:
        w.kept["legacy"] = _new_legacy_mcp(w)
    return w.kept["legacy"]


def _folders() -> dict[str, Call]:
    calls: dict[str, Call] = {
        "GET /v1/folders/name/{folder_name}": lambda w: w.call("GET", f"/v1/folders/name/{folder(w).name}"),
        "GET /v1/sources/name/{source_name}": lambda w: w.call("GET", f"/v1/sources/name/{folder(w).name}"),
        "GET /v1/sources/{source_id}": lambda w: w.call("GET", f"/v1/sources/{folder(w).id}"),
        "PATCH /v1/sources/{source_id}": lambda w: w.call(
            "PATCH", f"/v1/sources/{folder(w).id}", {"name": w.name("f")}
        ),
        "DELETE /v1/sources/{source_id}": lambda w: w.call("DELETE", f"/v1/sources/{folder(w).id}"),
        "GET /v1/sources/": get("/v1/sources/"),
        "POST /v1/sources/": lambda w: w.call("POST", "/v1/sources/", {"name": w.name("source")}),
        "POST /v1/sources/{source_id}/upload": lambda w: w.call(
            "POST", f"/v1/sources/{folder(w).id}/upload", files={"file": ("a.txt", b"Tea.")}
        ),
        "GET /v1/sources/{source_id}/agents": lambda w: w.call("GET", f"/v1/sources/{with_file(w)[1]}/agents"),
        "GET /v1/sources/{source_id}/files": lambda w: w.call("GET", f"/v1/sources/{with_file(w)[1]}/files"),
        "GET /v1/sources/{source_id}/files/{file_id}": _file_of_source,
        "DELETE /v1/sources/{source_id}/{file_id}": _delete_file,
        "PATCH /v1/agents/{agent_id}/sources/attach/{source_id}": lambda w: w.call(
            "PATCH", f"/v1/agents/{w.agent().id}/sources/attach/{folder(w).id}"
        ),
        "PATCH /v1/agents/{agent_id}/sources/detach/{source_id}": _detach_source,
        "GET /v1/agents/{agent_id}/sources": lambda w: w.call("GET", f"/v1/agents/{with_file(w)[0]}/sources"),
        "GET /v1/archives/{archive_id}/agents": lambda w: w.call("GET", f"/v1/archives/{archive(w).id}/agents"),
        "GET /v1/embeddings/total_storage_size": get("/v1/embeddings/total_storage_size"),
    }
    for family, place in (("folders", "folder_id"), ("sources", "source_id")):
        calls[f"GET /v1/{family}/count"] = get(f"/v1/{family}/count")
        calls[f"GET /v1/{family}/metadata"] = get(f"/v1/{family}/metadata")
        calls[f"GET /v1/{family}/{{{place}}}/passages"] = lambda w, family=family: w.call(
            "GET", f"/v1/{family}/{with_file(w)[1]}/passages"
        )
    return calls


def _file_of_source(w: World) -> Any:
    _, folder_id, file_id = with_file(w)
    return w.call("GET", f"/v1/sources/{folder_id}/files/{file_id}")


def _delete_file(w: World) -> Any:
    folder_id = folder(w).id
    return w.call("DELETE", f"/v1/sources/{folder_id}/{uploaded(w, folder_id).id}")


def _detach_source(w: World) -> Any:
    agent_id, folder_id, _ = with_file(w)
    return w.call("PATCH", f"/v1/agents/{agent_id}/sources/detach/{folder_id}")


def _agents() -> dict[str, Call]:
    said = {"messages": [{"role": "user", "content": "Hello"}]}
    return {
        "GET /v1/agents/count": get("/v1/agents/count"),
        "POST /v1/agents/{agent_id}/export": lambda w: w.call("POST", f"/v1/agents/{w.agent().id}/export", {}),
        "GET /v1/agents/{agent_id}/context": lambda w: w.call("GET", f"/v1/agents/{talked(w)}/context"),
        "GET /v1/agents/{agent_id}/core-memory": lambda w: w.call("GET", f"/v1/agents/{w.agent().id}/core-memory"),
        "GET /v1/agents/{agent_id}/core-memory/variables": lambda w: w.call(
            "GET", f"/v1/agents/{w.agent().id}/core-memory/variables"
        ),
        "POST /v1/agents/{agent_id}/system-prompt/recompile": lambda w: w.call(
            "POST", f"/v1/agents/{w.agent().id}/system-prompt/recompile"
        ),
        "PATCH /v1/agents/{agent_id}/messages/{message_id}": _edit_message,
        "POST /v1/agents/{agent_id}/generate": lambda w: w.call(
            "POST", f"/v1/agents/{w.agent().id}/generate", {"prompt": "@say A title"}
        ),
        "POST /v1/agents/messages/search": lambda w: (talked(w), w.call("POST", "/v1/agents/messages/search", SEARCH)),
        "GET /v1/agents/{agent_id}/groups": lambda w: w.call("GET", f"/v1/agents/{w.agent().id}/groups"),
        "POST /v1/agents/{agent_id}/messages/preview-raw-payload": lambda w: w.call(
            "POST", f"/v1/agents/{talked(w)}/messages/preview-raw-payload", said
        ),
        "POST /v1/conversations/{conversation_id}/messages/preview-raw-payload": lambda w: w.call(
            "POST", f"/v1/conversations/{w.conversation().id}/messages/preview-raw-payload", said
        ),
        "POST /v1/chat/completions": lambda w: w.call(
            "POST", "/v1/chat/completions", {"model": w.agent().id, **said, "stream": False}
        ),
        "POST /v1/voice-beta/{agent_id}/chat/completions": lambda w: w.call(
            "POST", f"/v1/voice-beta/{w.agent().id}/chat/completions", {"model": "x", **said}
        ),
    }


def _edit_message(w: World) -> Any:
    agent_id = talked(w)
    return w.call("PATCH", f"/v1/agents/{agent_id}/messages/{first_said(w, agent_id)}", EDIT)


def first_said(w: World, agent_id: str) -> str:
    """The id of the first thing that the person said."""
    listed = w.sdk.agents.messages.list(agent_id, order="asc")
    return str(next(item for item in listed if item.message_type == "user_message").id)


def manager(agent_id: str) -> dict[str, str]:
    """A group that this agent leads."""
    return {"manager_type": "supervisor", "manager_agent_id": agent_id}


def _groups() -> dict[str, Call]:
    return {
        "GET /v1/groups/": get("/v1/groups/"),
        "POST /v1/groups/": group,
        "GET /v1/groups/count": get("/v1/groups/count"),
        "GET /v1/groups/{group_id}": lambda w: w.call("GET", f"/v1/groups/{group(w)}"),
        "PATCH /v1/groups/{group_id}": lambda w: w.call("PATCH", f"/v1/groups/{group(w)}", {"description": "New."}),
        "DELETE /v1/groups/{group_id}": lambda w: w.call("DELETE", f"/v1/groups/{group(w)}"),
        "GET /v1/groups/{group_id}/messages": lambda w: w.call("GET", f"/v1/groups/{group(w)}/messages"),
        "PATCH /v1/groups/{group_id}/messages/{message_id}": _edit_group_message,
        "PATCH /v1/groups/{group_id}/reset-messages": lambda w: w.call(
            "PATCH", f"/v1/groups/{group(w)}/reset-messages"
        ),
        "PATCH /v1/groups/{group_id}/blocks/attach/{block_id}": lambda w: w.call(
            "PATCH", f"/v1/groups/{group(w)}/blocks/attach/{block(w).id}"
        ),
        "PATCH /v1/groups/{group_id}/blocks/detach/{block_id}": _detach_group_block,
    }


def _edit_group_message(w: World) -> Any:
    leader = talked(w)
    body = {"agent_ids": [w.agent().id], "description": "x", "manager_config": manager(leader)}
    group_id = w.call("POST", "/v1/groups/", body)["id"]
    message_id = first_said(w, leader)
    return w.call("PATCH", f"/v1/groups/{group_id}/messages/{message_id}", EDIT)


def _detach_group_block(w: World) -> Any:
    group_id, block_id = group(w), block(w).id
    w.call("PATCH", f"/v1/groups/{group_id}/blocks/attach/{block_id}")
    return w.call("PATCH", f"/v1/groups/{group_id}/blocks/detach/{block_id}")


def _identities() -> dict[str, Call]:
    one = "/v1/identities/{identity_id}"
    person = {"name": "Kim", "identity_type": "user"}
    properties = [{"key": "city", "value": "Ghent", "type": "string"}]
    return {
        "GET /v1/identities/": get("/v1/identities/"),
        "POST /v1/identities/": identity,
        "PUT /v1/identities/": lambda w: w.call("PUT", "/v1/identities/", {**person, "identifier_key": w.name("p")}),
        "GET /v1/identities/count": get("/v1/identities/count"),
        f"GET {one}": lambda w: w.call("GET", f"/v1/identities/{identity(w)}"),
        f"PATCH {one}": lambda w: w.call("PATCH", f"/v1/identities/{identity(w)}", {"name": "Kim"}),
        f"DELETE {one}": lambda w: w.call("DELETE", f"/v1/identities/{identity(w)}"),
        f"PUT {one}/properties": lambda w: w.call("PUT", f"/v1/identities/{identity(w)}/properties", properties),
        f"GET {one}/agents": lambda w: w.call("GET", f"/v1/identities/{identity(w)}/agents"),
        f"GET {one}/blocks": lambda w: w.call("GET", f"/v1/identities/{identity(w)}/blocks"),
        "GET /v1/blocks/count": get("/v1/blocks/count"),
        "PATCH /v1/blocks/{block_id}/identities/attach/{identity_id}": lambda w: w.call(
            "PATCH", f"/v1/blocks/{block(w).id}/identities/attach/{identity(w)}"
        ),
        "PATCH /v1/blocks/{block_id}/identities/detach/{identity_id}": _detach_block_identity,
    }


def _detach_block_identity(w: World) -> Any:
    block_id, identity_id = block(w).id, identity(w)
    w.call("PATCH", f"/v1/blocks/{block_id}/identities/attach/{identity_id}")
    return w.call("PATCH", f"/v1/blocks/{block_id}/identities/detach/{identity_id}")


def _internal() -> dict[str, Call]:
    labelled = {"label": "notes", "value": "x"}
    owned = {**labelled, **OWNER, "entity_id": "entity-1"}
    templates = "/v1/_internal_templates"
    return {
        "GET /v1/_internal_agents/count": get("/v1/_internal_agents/count"),
        "PATCH /v1/_internal_agents/{agent_id}/core-memory/blocks/{block_label}": lambda w: w.call(
            "PATCH", f"/v1/_internal_agents/{w.agent().id}/core-memory/blocks/human", {"value": "Kim."}
        ),
        "GET /v1/_internal_blocks/": get("/v1/_internal_blocks/"),
        "POST /v1/_internal_blocks/": lambda w: w.call("POST", "/v1/_internal_blocks/", labelled),
        "DELETE /v1/_internal_blocks/{block_id}": lambda w: w.call("DELETE", f"/v1/_internal_blocks/{block(w).id}"),
        "GET /v1/_internal_blocks/{block_id}/agents": lambda w: w.call(
            "GET", f"/v1/_internal_blocks/{block_of_agent(w)}/agents"
        ),
        "GET /v1/_internal_runs/": get("/v1/_internal_runs/"),
        f"POST {templates}/groups": lambda w: w.call(
            "POST", f"{templates}/groups", {"agent_ids": [w.agent().id], "description": "One.", **OWNER}
        ),
        f"POST {templates}/agents": lambda w: w.call(
            "POST", f"{templates}/agents", {"model": "scripted/default", **OWNER, "entity_id": "entity-1"}
        ),
        f"POST {templates}/blocks": lambda w: w.call("POST", f"{templates}/blocks", owned),
        f"POST {templates}/blocks/batch": lambda w: w.call("POST", f"{templates}/blocks/batch", [owned]),
        f"GET {templates}/deployment/{{deployment_id}}": get(f"{templates}/deployment/deployment-1"),
        f"DELETE {templates}/deployment/{{deployment_id}}": lambda w: w.call(
            "DELETE", f"{templates}/deployment/deployment-none"
        ),
        "POST /v1/_internal_search/cache-warm": lambda w: w.call("POST", "/v1/_internal_search/cache-warm", {}),
    }


def _work() -> dict[str, Call]:
    return {
        "GET /v1/jobs/": get("/v1/jobs/"),
        "GET /v1/jobs/active": get("/v1/jobs/active"),
        "GET /v1/ready/": get("/v1/ready/"),
        "GET /v1/health/": get("/v1/health/"),
        "GET /v1/runs/active": get("/v1/runs/active"),
        "DELETE /v1/runs/{run_id}": lambda w: w.call("DELETE", f"/v1/runs/{w.run(w.agent().id).id}"),
        "GET /v1/runs/{run_id}/metrics": lambda w: w.call("GET", f"/v1/runs/{w.run(w.agent().id).id}/metrics"),
        "PATCH /v1/steps/{step_id}/transaction/{transaction_id}": lambda w: w.call(
            "PATCH", f"/v1/steps/{w.step(w.agent().id).id}/transaction/t-1"
        ),
        "GET /v1/telemetry/{step_id}": lambda w: w.call("GET", f"/v1/telemetry/{w.step(w.agent().id).id}"),
        "POST /v1/messages/batches": _batch,
        "GET /v1/messages/batches": get("/v1/messages/batches"),
        "GET /v1/messages/batches/{batch_id}": lambda w: w.call("GET", f"/v1/messages/batches/{_batch(w)}"),
        "GET /v1/messages/batches/{batch_id}/messages": lambda w: w.call(
            "GET", f"/v1/messages/batches/{_batch(w)}/messages"
        ),
        "PATCH /v1/messages/batches/{batch_id}/cancel": lambda w: w.call(
            "PATCH", f"/v1/messages/batches/{_batch(w, '@wait 20')}/cancel"
        ),
    }


def _metadata() -> dict[str, Call]:
    telling = {"service": "letta-code", "events": []}
    return {
        "GET /v1/metadata/balance": get("/v1/metadata/balance"),
        "GET /v1/metadata/status": get("/v1/metadata/status"),
        "GET /v1/metadata/user": get("/v1/metadata/user"),
        "POST /v1/metadata/feedback": lambda w: w.call("POST", "/v1/metadata/feedback", {"message": "Fine."}),
        "POST /v1/metadata/telemetry": lambda w: w.call("POST", "/v1/metadata/telemetry", telling),
        "GET /v1/models/embeddings": get("/v1/models/embeddings"),
    }


def _templates() -> dict[str, Call]:
    p, one = "/v1/templates/{project_id}", "/v1/templates/default"
    return {
        "GET /v1/projects": get("/v1/projects"),
        "POST /v1/projects": _project,
        "DELETE /v1/projects/{projectId}": lambda w: w.call("DELETE", f"/v1/projects/{_project(w)}"),
        "GET /v1/templates": lambda w: (template(w), w.call("GET", "/v1/templates")),
        f"POST {p}": lambda w: w.call("POST", one, {"type": "agent", "agent_id": w.agent().id}),
        f"POST {p}/{{template_version}}/agents": lambda w: w.call("POST", f"{one}/{template(w)}:1/agents", {}),
        f"POST {p}/{{template_name}}": lambda w: w.call("POST", f"{one}/{template(w)}", {"message": "Second."}),
        f"DELETE {p}/{{template_name}}": lambda w: w.call("DELETE", f"{one}/{template(w)}"),
        f"POST {p}/{{template_version}}/fork": lambda w: w.call("POST", f"{one}/{template(w)}:1/fork"),
        f"PATCH {p}/{{template_name}}/name": lambda w: w.call(
            "PATCH", f"{one}/{template(w)}/name", {"new_name": w.name("renamed")}
        ),
        f"PATCH {p}/{{template_name}}/description": lambda w: w.call(
            "PATCH", f"{one}/{template(w)}/description", {"description": "Helps."}
        ),
        f"GET {p}/{{name}}/versions": lambda w: w.call("GET", f"{one}/{template(w)}/versions"),
        f"POST {p}/{{template_name}}/rollback": lambda w: w.call(
            "POST", f"{one}/{template(w)}/rollback", {"version": "1"}
        ),
        f"PUT {p}/{{template_name}}/agent-file": lambda w: w.call(
            "PUT", f"{one}/{template(w)}/agent-file", {"agent_file_json": json.loads(exported(w))}
        ),
        f"POST {p}/{{template_name}}/deployments/{{deployment_id}}/migrate": _migrate,
    }


def _project(w: World) -> str:
    return str(w.call("POST", "/v1/projects", {"name": w.name("project")})["id"])


def _migrate(w: World) -> Any:
    name = template(w)
    made = w.call("POST", f"/v1/templates/{name}:1/agents", {})
    path = f"/v1/templates/default/{name}/deployments/{made['deployment_id']}/migrate"
    return w.call("POST", path, {"version": "1"})


def _batch(w: World, words: str = "@say Hello.") -> str:
    requests = [{"agent_id": w.agent().id, "messages": [{"role": "user", "content": words}]}]
    return str(w.call("POST", "/v1/messages/batches", {"requests": requests})["id"])


def _providers() -> dict[str, Call]:
    one = "/v1/providers/{provider_id}"
    return {
        "GET /v1/providers/": get("/v1/providers/"),
        "POST /v1/providers/": provider,
        f"GET {one}": lambda w: w.call("GET", f"/v1/providers/{provider(w)}"),
        f"PATCH {one}": lambda w: w.call("PATCH", f"/v1/providers/{provider(w)}", {"api_key": "sk-new"}),
        f"DELETE {one}": lambda w: w.call("DELETE", f"/v1/providers/{provider(w)}"),
        "POST /v1/providers/check": lambda w: w.call("POST", "/v1/providers/check", provider_account(w)),
        f"POST {one}/check": lambda w: w.call("POST", f"/v1/providers/{provider(w)}/check"),
        f"PATCH {one}/refresh": lambda w: w.call("PATCH", f"/v1/providers/{provider(w)}/refresh"),
    }


def _admin() -> dict[str, Call]:
    config, variable = "/v1/sandbox-config", {"key": "CITY", "value": "Ghent"}
    return {
        "POST /v1/auth": lambda w: w.call("POST", "/v1/auth", {"uuid": w.agent().created_by_id}),
        "GET /v1/admin/users/": get("/v1/admin/users/"),
        "POST /v1/admin/users/": _user,
        "PUT /v1/admin/users/": lambda w: w.call("PUT", "/v1/admin/users/", {"id": _user(w), "name": "Kim"}),
        "DELETE /v1/admin/users/": lambda w: w.call("DELETE", "/v1/admin/users/", params={"user_id": _user(w)}),
        "GET /v1/admin/orgs/": get("/v1/admin/orgs/"),
        "POST /v1/admin/orgs/": _org,
        "PATCH /v1/admin/orgs/": lambda w: w.call(
            "PATCH", "/v1/admin/orgs/", {"name": w.name("org")}, params={"org_id": _org(w)}
        ),
        "DELETE /v1/admin/orgs/": lambda w: w.call("DELETE", "/v1/admin/orgs/", params={"org_id": _org(w)}),
        f"POST {config}/": lambda w: w.call("POST", f"{config}/", {"config": {"use_venv": False}}),
        f"GET {config}/": get(f"{config}/"),
        f"POST {config}/local/default": lambda w: w.call("POST", f"{config}/local/default"),
        f"POST {config}/e2b/default": lambda w: w.call("POST", f"{config}/e2b/default"),
        f"POST {config}/local": lambda w: w.call("POST", f"{config}/local", {"use_venv": False}),
        f"POST {config}/local/recreate-venv": lambda w: w.call("POST", f"{config}/local/recreate-venv"),
        f"PATCH {config}/{{sandbox_config_id}}": lambda w: w.call(
            "PATCH", f"{config}/{_config(w)}", {"config": {"use_venv": False}}
        ),
        f"DELETE {config}/{{sandbox_config_id}}": lambda w: w.call("DELETE", f"{config}/{_config(w)}"),
        f"POST {config}/{{sandbox_config_id}}/environment-variable": _variable,
        f"GET {config}/{{sandbox_config_id}}/environment-variable": lambda w: w.call(
            "GET", f"{config}/{_config(w)}/environment-variable"
        ),
        f"PATCH {config}/environment-variable/{{env_var_id}}": lambda w: w.call(
            "PATCH", f"{config}/environment-variable/{_variable(w)}", variable
        ),
        f"DELETE {config}/environment-variable/{{env_var_id}}": lambda w: w.call(
            "DELETE", f"{config}/environment-variable/{_variable(w)}"
        ),
    }


def _org(w: World) -> str:
    return str(w.call("POST", "/v1/admin/orgs/", {"name": w.name("org")})["id"])


def _user(w: World) -> str:
    body = {"name": w.name("user"), "organization_id": _org(w)}
    return str(w.call("POST", "/v1/admin/users/", body)["id"])


def _config(w: World) -> str:
    return str(w.call("POST", "/v1/sandbox-config/local/default")["id"])


def _variable(w: World) -> str:
    body = {"key": w.name("key").upper().replace("-", "_"), "value": "Ghent"}
    return str(w.call("POST", f"/v1/sandbox-config/{_config(w)}/environment-variable", body)["id"])


PLAIN_CALLS: dict[str, Call] = {
    **_tools(),
    **_mcp(),
    **_folders(),
    **_agents(),
    **_groups(),
    **_identities(),
    **_internal(),
    **_work(),
    **_metadata(),
    **_templates(),
    **_providers(),
    **_admin(),
}
"""By the name of the operation."""
