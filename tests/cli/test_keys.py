"""Organisations and keys from a script."""

from tests.cli.command import Done, loci
from tests.cli.served import served


def test_an_organisation_gets_a_key_and_loses_it(tmp_path):
    with served(tmp_path) as server:

        def ask(*words: str, **environment: str) -> Done:
            return loci(*words, LOCI_BASE_URL=server.url, **environment)

        server.agent("of-the-operator")
        none_yet = ask("keys", "list")
        assert (none_yet.status, none_yet.talk) == (0, "No keys yet. `loci keys create NAME` makes one.\n")
        org_id = ask("orgs", "create", "acme").out.strip()
        assert [line.split()[0] for line in ask("orgs", "list").out.splitlines()] == ["NAME", "default", "acme"]

        made = ask("keys", "create", "laptop", "--org", "acme", "--days", "90")
        key = made.out.strip()
        assert (key[:8], made.status) == ("sk-loci-", 0)
        assert "not shown again" in made.talk
        assert ask("agents", "list", "--json", LOCI_API_KEY=key).data == []
        second = ask("keys", "create", "ci", "--org", org_id, "--json").data
        assert second["organization_id"] == org_id

        listed = ask("keys", "list", "--org", "acme")
        assert [line.split()[0] for line in listed.out.splitlines()] == ["NAME", "laptop", "ci"]
        assert key not in listed.out
        assert "until 20" in listed.out

        assert ask("keys", "revoke", key).talk == f"'laptop' ({key[:14]}…) is revoked.\n"
        refused = ask("agents", "list", LOCI_API_KEY=key)
        assert (refused.status, "wants an API key" in refused.talk) == (1, True)
        assert [each["name"] for each in ask("keys", "list", "--json").data if each["revoked_at"]] == ["laptop"]
        again = ask("keys", "revoke", "laptop")
        assert again.talk == "Error: There is no key 'laptop' that is good.\n`loci keys list` shows them.\n"
        nobody = "org-00000000-0000-4000-8000-00000000dead"
        for words in (("list", "--json", "--org", nobody), ("create", "x", "--org", nobody)):
            unknown = ask("keys", *words)
            assert (unknown.status, f"There is no organisation {nobody}" in unknown.talk) == (1, True)
        assert (
            ask("keys", "list", "--org", org_id, "--json").data == ask("keys", "list", "--org", "acme", "--json").data
        )
        assert ask("keys", "list", "--org", "org-x").talk.startswith("Error: ")
        assert ask("keys", "create", "x", "--org", "nobody").talk.startswith("Error: There is no organisation 'nobody'")


def test_keys_are_made_without_a_server_too(tmp_path):
    made = loci("keys", "create", "laptop", "--json", LOCI_HOME=str(tmp_path))
    assert made.data["name"] == "laptop"
    listed = loci("keys", "list", "--json", LOCI_HOME=str(tmp_path))
    assert [(each["id"], each["key"]) for each in listed.data] == [(made.data["id"], None)]
