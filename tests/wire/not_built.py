"""Operations of the published API without a call of their own in the tests, or without a place here, and why."""

_JOBS = "is about work that is asked for inside the server; tests/api/test_jobs.py shows it and judges the answers"

ELSEWHERE = {
    "GET /v1/jobs/{job_id}": _JOBS,
    "DELETE /v1/jobs/{job_id}": _JOBS,
    "PATCH /v1/jobs/{job_id}/cancel": _JOBS,
    "GET /v1/tools/mcp/oauth/callback": "is called by an authorization server; tests/mcp shows it",
    "GET /v1/agents/{agent_id}/export": "the client declares a text and the API a JSON object; the call is a plain one",
}
"""Checked, but not by a call of their own."""

NOT_BUILT: dict[str, str] = {}
"""By operation: why it will not be there."""
