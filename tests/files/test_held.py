"""What an agent has of folders: tools, open files in its prompt, and what it finds."""

import orjson
import pytest
from letta_client import NotFoundError

from tests.api.clients import MISSING, client_of
from tests.api.talk import call
from tests.files.room import folder_of, holder, opened, prompt, upload, use
from tests.files.samples import TEA

FILE_TOOLS = ["grep_files", "open_files", "semantic_search_files"]


async def tools_of(client, agent_id):
    return sorted(tool["name"] for tool in await client.get(f"/v1/agents/{agent_id}/tools") if "files" in tool["name"])


async def test_a_folder_comes_with_its_tools_and_the_last_one_takes_them_away(tmp_path):
    async with client_of(tmp_path) as client:
        one, two = await folder_of(client, "one"), await folder_of(client, "two")
        agent_id = (await client.sdk.agents.create()).id
        assert await tools_of(client, agent_id) == []
        for folder_id in (one, two, two):
            await client.sdk.agents.folders.attach(folder_id, agent_id=agent_id)
        assert await tools_of(client, agent_id) == FILE_TOOLS
        assert [item.id async for item in client.sdk.agents.folders.list(agent_id, order="asc")] == [one, two]
        seen = await client.sdk.agents.retrieve(agent_id, include=["agent.sources"])
        assert [source.name for source in seen.sources] == ["one", "two"]
        await client.sdk.agents.folders.detach(one, agent_id=agent_id)
        assert await tools_of(client, agent_id) == FILE_TOOLS
        await client.sdk.agents.folders.detach(two, agent_id=agent_id)
        assert await tools_of(client, agent_id) == []
        with pytest.raises(NotFoundError, match="does not hold"):
            await client.sdk.agents.folders.detach(two, agent_id=agent_id)
        history = await client.get(f"/v1/agents/{agent_id}/memory/history", order="asc")
        told = [entry["action"] for entry in history if entry["action"].endswith("_folder")]
        assert told == ["attach_folder", "attach_folder", "detach_folder", "detach_folder"]


async def test_folders_are_named_when_an_agent_is_made_and_changed(tmp_path):
    async with client_of(tmp_path) as client:
        one, two = await folder_of(client, "one"), await folder_of(client, "two")
        await upload(client, one, "a.txt", TEA)
        made = await client.sdk.agents.create(source_ids=[one])
        assert [source.id for source in made.sources] == [one]
        assert {tool.name for tool in made.tools} > set(FILE_TOOLS)
        assert TEA in await prompt(client, made.id)
        changed = await client.sdk.agents.update(made.id, folder_ids=[two])
        assert [source.id for source in changed.sources] == [two]
        for method, path in (("POST", "/v1/agents"), ("PATCH", f"/v1/agents/{made.id}")):
            answer = await client.http.request(method, path, json={"folder_ids": [f"source-{MISSING}"]})
            assert answer.status_code == 404


async def test_the_prompt_shows_open_files_and_names_the_others(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client, description="On tea", instructions="Quote them.")
        await upload(client, folder_id, "a.txt", f"{TEA}\nNever boil it.")
        await upload(client, folder_id, "b.txt", "Coffee is another matter.")
        agent_id = await holder(client, folder_id, max_files_open=1)
        shown = await prompt(client, agent_id)
        assert (
            shown.partition("<directories>")[2].partition("</directories>")[0]
            == f"""
<file_limits>
- current_files_open=1
- max_files_open=1
</file_limits>
<directory name="docs">
<description>
On tea
</description>
<instructions>
Quote them.
</instructions>
<file status="open" name="docs/a.txt">
<metadata>
- read_only=true
- chars_current=97
- chars_limit=25000
</metadata>
<value>
[Viewing file start (out of 2 lines)]
1: {TEA}
2: Never boil it.
</value>
</file>
<file status="closed" name="docs/b.txt"/>
</directory>
"""
        )
        context = await client.get(f"/v1/agents/{agent_id}/context")
        assert context["directories"] in shown
        assert context["num_tokens_directories"] > 50


async def test_the_prompt_stays_as_it_is_until_something_changes(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        await upload(client, folder_id, "a.txt", TEA)
        agent_id = await holder(client, folder_id)
        client.live.model.add("One.", "Two.", "Three.", "Four.")
        for words in ("Hi", "Hi again"):
            await client.sdk.agents.messages.create(agent_id, input=words)
        await upload(client, folder_id, "b.txt", "Coffee is another matter.")
        await client.sdk.agents.messages.create(agent_id, input="And now?")
        await client.sdk.folders.update(folder_id, name="papers")
        await client.sdk.agents.messages.create(agent_id, input="And now?")
        first, second, third, fourth = [request.system for request in client.live.model.requests]
        assert first == second
        assert "Coffee" not in second
        assert "1: Coffee is another matter." in third
        assert 'name="papers/a.txt"' in fourth


async def test_an_agent_opens_a_file_and_sees_it_in_its_next_step(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        lines = "\n".join(f"Line {number}." for number in range(1, 101))
        await upload(client, folder_id, "a.txt", lines)
        agent_id = await holder(client, folder_id)
        await client.sdk.agents.files.close_all(agent_id)
        wish = {"file_requests": [{"file_name": "docs/a.txt", "offset": 41, "length": 2}]}
        client.live.model.add([call("open_files", orjson.dumps(wish).decode())], "Read.")
        await client.sdk.agents.messages.create(agent_id, input="Read lines 41 and 42.")
        before, after = [request.system for request in client.live.model.requests]
        assert "Line 41." not in before
        assert "[Viewing lines 41 to 42 (out of 100 lines)]\n41: Line 41.\n42: Line 42.\n[58 more lines" in after
        page = await client.sdk.agents.files.list(agent_id)
        assert [(file.start_line, file.end_line, file.is_open) for file in page.files] == [(41, 42, True)]


async def test_files_are_opened_and_closed_by_hand_page_by_page(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        ids = [(await upload(client, folder_id, f"{name}.txt", name)).id for name in "abc"]
        agent_id = await holder(client, folder_id, max_files_open=2)
        assert await opened(client, agent_id) == ["docs/a.txt", "docs/b.txt"]
        assert await client.sdk.agents.files.open(ids[2], agent_id=agent_id) == ["docs/a.txt"]
        assert await client.sdk.agents.files.open(ids[1], agent_id=agent_id) == []
        assert await client.sdk.agents.files.open(ids[0], agent_id=agent_id) == ["docs/c.txt"]
        await client.sdk.agents.files.close(ids[0], agent_id=agent_id)
        assert await opened(client, agent_id) == ["docs/b.txt"]
        assert await client.sdk.agents.files.close_all(agent_id) == ["docs/b.txt"]
        first = await client.get(f"/v1/agents/{agent_id}/files", limit=2, order="asc")
        assert ([file["file_id"] for file in first["files"]], first["has_more"]) == (ids[:2], True)
        rest = await client.get(f"/v1/agents/{agent_id}/files", limit=2, order="asc", cursor=first["next_cursor"])
        assert ([file["file_id"] for file in rest["files"]], rest["has_more"], rest["next_cursor"]) == (
            ids[2:],
            False,
            None,
        )
        stranger = (await client.sdk.agents.create()).id
        for path in (f"{stranger}/files/{ids[0]}/open", f"{agent_id}/files/file-{MISSING}/close"):
            assert (await client.http.patch(f"/v1/agents/{path}")).status_code == 404
        for file_id in ids[:2]:
            await client.sdk.agents.files.open(file_id, agent_id=agent_id)
        await client.sdk.agents.update(agent_id, max_files_open=1)
        assert await opened(client, agent_id) == ["docs/b.txt"]
        await client.sdk.agents.update(agent_id, max_files_open=0)
        assert (await client.http.patch(f"/v1/agents/{agent_id}/files/{ids[0]}/open")).status_code == 409


async def test_the_tools_find_and_refuse(tmp_path):
    async with client_of(tmp_path) as client:
        one, two = await folder_of(client, "one"), await folder_of(client, "two")
        await upload(client, one, "a.md", f"# Tea\n\n{TEA}\nNever boil it.\n")
        await upload(client, one, "b.py", "def brew(celsius: int) -> str:\n    return 'tea'\n")
        await upload(client, two, "a.md", "# Coffee\n\n" + "Ground beans, hot water.\n" * 30)
        agent_id = await holder(client, one, two)

        async def tool(name, **args):
            return await use(client, agent_id, name, **args)

        assert await tool("grep_files", pattern=r"EIGHTY \w+", context_lines=1) == (
            f"Matches 1 to 1.\n\none/a.md, line 3:\n  2: \n> 3: {TEA}\n  4: Never boil it."
        )
        assert "one/b.py, line 1" in await tool("grep_files", pattern="brew", include="*.py")
        assert await tool("grep_files", pattern="brew", include="two/*") == "No line matches."
        many = await tool("grep_files", pattern="beans", context_lines=0)
        assert many.startswith("Matches 1 to 20. There are more: use offset=20.")
        assert (await tool("grep_files", pattern="beans", offset=20)).startswith("Matches 21 to 30.")
        assert await tool("grep_files", pattern="beans", offset=30) == "No more matches."
        assert "no regular expression" in await tool("grep_files", pattern="(?<=a)b")
        assert "no regular expression" in await tool("grep_files", pattern="(")
        assert "no such file" in await tool("grep_files", pattern="x", include="*.rs")
        hits = orjson.loads(await tool("semantic_search_files", query="How hot is green tea brewed?", limit=1))
        assert [(hit["file_name"], hit["line"]) for hit in hits["results"]] == [("one/a.md", 1)]
        assert "must be a text" in await tool("semantic_search_files", query=" ")
        assert "more than one folder" in await tool("open_files", file_requests=[{"file_name": "a.md"}])
        assert "You have no file 'c.md'" in await tool("open_files", file_requests=[{"file_name": "c.md"}])
        assert "1 to 20 files" in await tool("open_files", file_requests=[])
        answer = await tool("open_files", file_requests=[{"file_name": "b.py"}], close_all_others=True)
        assert answer.startswith("Opened: one/b.py.")
        assert await opened(client, agent_id) == ["one/b.py"]


async def test_a_deleted_file_is_not_found_any_more(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        file = await upload(client, folder_id, "a.txt", TEA)
        agent_id = await holder(client, folder_id)
        assert TEA in await use(client, agent_id, "semantic_search_files", query="green tea")
        await client.sdk.folders.files.delete(file.id, folder_id=folder_id)
        assert await use(client, agent_id, "semantic_search_files", query="green tea") == "No results found."
        assert TEA not in await prompt(client, agent_id)
        assert (await client.http.delete(f"/v1/folders/{folder_id}/{file.id}")).status_code == 404
