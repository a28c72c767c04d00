"""Operations of the published API without a call of their own in the tests, or without a place here, and why."""

from tests.wire.published import operations

_JOBS = "is about work that is asked for inside the server; tests/api/test_jobs.py shows it and judges the answers"

ELSEWHERE = {
    "GET /v1/jobs/{job_id}": _JOBS,
    "DELETE /v1/jobs/{job_id}": _JOBS,
    "PATCH /v1/jobs/{job_id}/cancel": _JOBS,
    "GET /v1/tools/mcp/oauth/callback": "is called by an authorization server; tests/mcp shows it",
    "GET /v1/agents/{agent_id}/export": "the client declares a text and the API a JSON object; the call is a plain one",
}
"""Checked, but not by a call of their own."""

_FEEDS = "texts from outside, spread to agents by the hosted service; schedules and messages do that here"
_PIPELINES = "connectors of the hosted service that copy from other companies' products"
_COMPUTERS = "computers that the hosted service reaches or lends; tools run in the server's own sandbox here"
_DEPLOYED = "an index over deployed agents of the hosted service; GET /v1/agents/ filters by tags, names and templates"

_FAMILIES = {
    "/v1/feeds": _FEEDS,
    "/v1/pipelines": _PIPELINES,
    "/v1/environments": _COMPUTERS,
    "/v1/sandboxes": _COMPUTERS,
    "/v1/device-storage-key": _COMPUTERS,
    "/v1/agents/search": _DEPLOYED,
    "/v1/legacy-templates": "there are no projects of an older kind here",
}

NOT_BUILT: dict[str, str] = {
    item.name: reason
    for item in operations().values()
    for family, reason in _FAMILIES.items()
    if item.path.startswith(family)
} | {
    f"{method} /v1/templates/{{project_id}}/{{template_version}}/snapshot": "the hosted service's inner form of a "
    "template; an agent file says the same"
    for method in ("GET", "PUT")
}
"""By operation: why it will not be there."""
