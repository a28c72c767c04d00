"""An agent's memory is a repository: what git does to it and what the server does to it end in the same state."""

import asyncio
import json
import os
import random
import shutil
import subprocess
from dataclasses import replace

import httpx2
import pytest

from loci.memfs.files import label_of, parse
from loci.store import agents, blocks
from loci.testing.live import live_settings
from loci.types.actor import Actor
from loci.types.agents import Agent, AgentType
from tests.api.talk import call
from tests.memfs.room import needs_git, room

pytestmark = needs_git

PERSONA, HUMAN = "system/persona.md", "system/human.md"


async def test_a_clone_has_each_block_as_a_file_and_each_change_as_a_commit(tmp_path):
    async with room(tmp_path) as here:
        await here.edit("human", value="Likes coffee.")
        here.client.live.model.add([call("memory_insert", '{"label": "human", "new_string": "Has a cat."}')], "Noted.")
        await here.client.sdk.agents.messages.create(here.agent_id, input="I have a cat.")
        ana = await here.clone()
        assert ana.files() == {
            HUMAN: "---\ndescription: The person\nlimit: 100000\n---\nLikes coffee.\nHas a cat.\n",
            PERSONA: "---\ndescription: Who you are\nlimit: 100000\n---\nI am Loci.\n",
        }
        authors = [line.partition(":")[0] for line in await ana.log()]
        assert authors == ["agent", "user", "user"]
        shown = (await ana.git("show", "HEAD~1")).text
        assert "-Likes tea." in shown
        assert "+Likes coffee." in shown


async def test_a_push_is_one_change_set_that_can_be_undone(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        ana.body(PERSONA, "I am Loci, and I am kind.")
        await ana.commit("Be kind")
        ana.write("system/work/plan.md", "---\ndescription: What to do next\nlimit: 5000\n---\nRest.\n")
        (ana.folder / HUMAN).unlink()
        await ana.commit("Plan instead")

        said = await ana.push()

        assert await here.values() == {"persona": "I am Loci, and I am kind.", "work/plan": "Rest."}
        plan = await here.client.sdk.agents.blocks.retrieve("work/plan", agent_id=here.agent_id)
        assert (plan.description, plan.limit) == ("What to do next", 5000)
        change_id = said.partition("memory changed: ")[2].split()[0]
        entries = await here.client.get(f"/v1/memory/changes/{change_id}")
        assert [(entry["subject"], entry["action"]) for entry in entries] == [
            ("attachment", "detach"),
            ("block", "update"),
            ("block", "create"),
            ("attachment", "attach"),
        ]
        assert {entry["author"]["kind"] for entry in entries} == {"user"}
        assert {entry["reason"] for entry in entries} == {"Plan instead (Ana <ana@example.org>)"}
        assert (await here.client.http.post(f"/v1/memory/changes/{change_id}/undo")).status_code == 200
        await ana.git("pull", "--ff-only")
        assert await here.values() == {"persona": "I am Loci.", "human": "Likes tea.\nLives in Rome."}
        assert sorted(ana.files()) == [HUMAN, PERSONA]


async def test_what_a_push_does_to_files_that_are_no_blocks_is_told_in_the_journal(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        before = (await ana.git("rev-parse", "HEAD")).text.strip()
        ana.write("notes/idea.md", "A garden.\n")
        ana.write("skills/bake/SKILL.md", "Bake.\n")
        await ana.commit("Two files")
        assert "kept; no block changed" in await ana.push()
        head = (await ana.git("rev-parse", "HEAD")).text.strip()

        (told,) = await here.client.get(f"/v1/agents/{here.agent_id}/memory/history", limit=1)
        assert (told["subject"], told["subject_id"], told["action"]) == ("files", head, "push")
        assert (told["author"]["kind"], told["reason"]) == ("user", "Two files (Ana <ana@example.org>)")
        assert told["before"] == {"commit": before}
        paths = ["notes/idea.md", "skills/bake/SKILL.md"]
        assert told["after"] == {"commit": head, "paths": paths, "count": 2}
        assert [line for line in told["diff"].splitlines() if line[0] == "+"] == [f"+{path}" for path in paths]

        ana.body(PERSONA, "I am Loci, and I am kind.")
        (ana.folder / "notes/idea.md").unlink()
        await ana.commit("Both")
        change_id = (await ana.push()).partition("memory changed: ")[2].split()[0]
        entries = await here.client.get(f"/v1/memory/changes/{change_id}")
        assert [(entry["subject"], entry["action"]) for entry in entries] == [("block", "update"), ("files", "push")]
        assert entries[1]["after"]["paths"] == ["notes/idea.md"]
        assert (await here.client.http.post(f"/v1/memory/changes/{change_id}/undo")).status_code == 200
        await ana.git("pull", "--ff-only")
        assert await here.values() == {"persona": "I am Loci.", "human": "Likes tea.\nLives in Rome."}


async def test_a_push_on_an_old_state_is_told_to_fetch_first_and_goes_through_after_a_rebase(tmp_path):
    async with room(tmp_path) as here:
        ana, bob = await here.clone("Ana"), await here.clone("Bob")
        ana.body(PERSONA, "I am Ana's.")
        await ana.commit("Mine")
        await ana.push()
        await here.edit("human", description="Whoever writes")
        bob.body(HUMAN, "Likes tea.\nLives in Oslo.")
        await bob.commit("Moved")

        said = await bob.push(ok=False)

        assert "fetch first" in said
        await bob.git("pull", "--rebase", "--quiet")
        await bob.push()
        assert await here.values() == {"persona": "I am Ana's.", "human": "Likes tea.\nLives in Oslo."}
        assert (await here.blocks())["human"]["description"] == "Whoever writes"
        log = await bob.log()
        assert log[0] == "Bob: Moved"
        assert log[2] == "Ana: Mine"


async def test_the_past_is_never_overwritten(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        await here.edit("human", value="Changed since.")
        ana.body(HUMAN, "Mine alone.")
        await ana.git("commit", "--quiet", "-a", "--amend", "-m", "Another past")
        await ana.git("fetch", "--quiet")

        assert "non-fast-forward" in await ana.push("--force", ok=False)
        assert "main is kept here" in (await ana.git("push", "origin", "HEAD:refs/heads/other", ok=False)).text
        assert "rejected" in (await ana.git("push", "origin", ":main", ok=False)).text
        assert (await here.values())["human"] == "Changed since."


async def test_every_protocol_fetches(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        for number in range(24):  # the negotiation of so many is compressed
            ana.write(f"notes/{number}.md", f"{number}\n")
            await ana.commit(f"Note {number}")
        await ana.push()
        for protocol in (0, 1, 2):
            await here.edit("human", value=f"New {protocol}.")
            await ana.git("-c", f"protocol.version={protocol}", "pull", "--ff-only", "--quiet")
            assert f"New {protocol}." in ana.read(HUMAN)
        bob = await here.clone("Bob")
        assert bob.files() == ana.files()
        assert (await ana.git("rev-parse", "HEAD")).text == (await bob.git("rev-parse", "HEAD")).text
        assert "missing" not in (await bob.git("fsck", "--full")).text


async def test_most_of_a_memory_is_deleted_only_by_who_says_so(tmp_path):
    many = [{"label": f"fact-{number}", "value": "x" * 300} for number in range(6)]
    async with room(tmp_path, blocks=many) as here:
        ana = await here.clone()
        for number in range(4):
            (ana.folder / f"system/fact-{number}.md").unlink()
        await ana.commit("Tidy")

        said = await ana.push(ok=False)

        assert "would delete most of the memory" in said
        assert "git push -o accept-loss" in said
        assert len(await here.values()) == 6
        await ana.push("-o", "accept-loss")
        assert sorted(await here.values()) == ["fact-4", "fact-5"]
        ana.body("system/fact-4.md", "")
        ana.body("system/fact-5.md", "")
        await ana.commit("Empty")
        assert "remote rejected" not in await ana.push()


async def test_a_read_only_block_stays_as_it_is(tmp_path):
    given = [{"label": "rules", "value": "Be kind.", "read_only": True}, {"label": "human", "value": "Ana."}]
    async with room(tmp_path, blocks=given) as here:
        ana = await here.clone()
        assert "read_only: true" in ana.read("system/rules.md")
        for text in (
            "---\nread_only: true\n---\nBe rude.\n",
            "---\nread_only: false\n---\nBe kind.\n",
            "---\nlimit: 5\n---\nBe kind.\n",
            None,
        ):
            if text is None:
                (ana.folder / "system/rules.md").unlink()
            else:
                ana.write("system/rules.md", text)
            await ana.commit("Change the rules")
            assert "read" in (await ana.push(ok=False)).partition("remote: loci: system/rules.md: ")[2]
            await ana.git("reset", "--quiet", "--hard", "origin/main")
        ana.write("system/human.md", "---\nread_only: true\n---\nAna.\n")
        await ana.commit("Lock")
        assert "set by the operator" in await ana.push(ok=False)
        assert (await here.blocks())["rules"]["read_only"] is True
        assert (await here.blocks())["human"]["read_only"] is False


BAD_FILES = (
    ("system/a.md", "---\ndescription: x\n", "never closed"),
    ("system/a.md", "---\ndescription: x\ncolour: red\n---\n", "unknown front matter 'colour: red'"),
    ("system/a.md", "---\nlimit: 5\nlimit: 6\n---\n", "stands twice"),
    ("system/a.md", "---\nlimit: many\n---\n", "limit must be a number"),
    ("system/a.md", "---\nread_only: maybe\n---\n", "true or false"),
    ("system/a.md", "---\nlimit: 5\n---\n123456\n", "it has 6 characters, and its limit is 5"),
    ("system/a.md", b"\xff\xfe\x00", "no UTF-8 text"),
    ("system/a.md", "a\0b", "NUL characters"),
    ("system/a<b>.md", "x", "no label of a block"),
    ("system/hum%61n.md", "x", "'human'"),
    ("notes.txt", b"x" * 5_000_001, "larger than 5000000 bytes"),
    ("a\\b.md", "x", "backslash"),
)


async def test_a_file_that_cannot_be_memory_is_refused_with_the_reason(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        for path, text, reason in BAD_FILES:
            ana.write(path, text)
            ana.body(HUMAN, "Also changed.")
            await ana.commit("Bad")
            said = await ana.push(ok=False)
            assert reason in said
            assert "remote: loci: " in said
            await ana.git("reset", "--quiet", "--hard", "origin/main")
        assert await here.values() == {"persona": "I am Loci.", "human": "Likes tea.\nLives in Rome."}


async def test_links_submodules_and_paths_that_harm_a_checkout_are_refused(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        blob = (await ana.git("hash-object", "-w", HUMAN)).text.strip()
        head = (await ana.git("rev-parse", "HEAD")).text.strip()
        for entry in (f"120000,{blob},link", f"160000,{head},module", f"100644,{blob},.gitmodules"):
            await ana.git("update-index", "--add", "--cacheinfo", entry)
            await ana.git("commit", "--quiet", "-m", "Trick")
            assert "remote: loci: " in await ana.push(ok=False), entry
            await ana.git("reset", "--quiet", "--hard", "origin/main")
        for name in ("..", ".git", "a/b"):
            tree = f"100644 {name}\0".encode() + bytes.fromhex(blob)
            (ana.folder / "tree").write_bytes(tree)
            made = (await ana.git("hash-object", "-w", "-t", "tree", "--literally", "tree")).text.strip()
            commit = (await ana.git("commit-tree", made, "-p", head, "-m", "Trick")).text.strip()
            said = (await ana.git("push", "origin", f"{commit}:main", ok=False)).text
            assert "invalid" in said, said
        made = blob
        for depth in range(12):  # ten files in each of ten folders in each of ten …
            mode = "100644" if depth == 0 else "40000"
            entries = (f"{mode} {name}\0".encode() + bytes.fromhex(made) for name in "abcdefghij")
            (ana.folder / "tree").write_bytes(b"".join(entries))
            made = (await ana.git("hash-object", "-w", "-t", "tree", "tree")).text.strip()
        commit = (await ana.git("commit-tree", made, "-p", head, "-m", "Bomb")).text.strip()
        assert "said more than" in (await ana.git("push", "origin", f"{commit}:main", ok=False)).text
        assert await here.values() == {"persona": "I am Loci.", "human": "Likes tea.\nLives in Rome."}


async def test_of_pushes_at_the_same_time_one_wins(tmp_path):
    async with room(tmp_path) as here:
        people = [await here.clone(name) for name in ("Ana", "Bob", "Cem", "Dia")]
        for clone in people:
            clone.body(HUMAN, f"Belongs to {clone.person}.")
            await clone.commit("Mine")

        said = await asyncio.gather(*(clone.push(ok=None) for clone in people))

        won = [clone for clone, text in zip(people, said, strict=True) if "memory changed" in text]
        assert len(won) == 1
        assert (await here.values())["human"] == f"Belongs to {won[0].person}."
        history = await here.client.get(f"/v1/agents/{here.agent_id}/memory/history")
        assert sum(bool(entry["reason"]) for entry in history) == 1


async def test_a_push_that_is_cut_off_changes_nothing(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        ana.body(HUMAN, "Half said.")
        await ana.commit("Cut")
        head, new = (await ana.git("rev-parse", "origin/main", "HEAD")).text.split()
        revisions = ana.folder / "revisions"
        revisions.write_text(f"{new}\n^{head}\n")
        with revisions.open() as source:
            pack = await asyncio.to_thread(_packed, ana.folder, source)
        command = f"{head} {new} refs/heads/main\0report-status".encode()
        whole = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
        places = [0, 3, 40, len(whole) - len(pack), len(whole) - len(pack) + 15, len(whole) - 1]
        for place in places:
            answer = await here.client.http.post(f"{here.url}/git-receive-pack", content=whole[:place])
            assert answer.status_code in (200, 400), answer.text
            assert b"ok refs/heads/main" not in answer.content
            assert (await here.values())["human"] == "Likes tea.\nLives in Rome."
        answer = await here.client.http.post(f"{here.url}/git-receive-pack", content=whole)
        assert b"ok refs/heads/main" in answer.content
        assert (await here.values())["human"] == "Half said."


def _packed(folder, source):
    words = ["git", "pack-objects", "--revs", "--stdout", "--quiet"]
    return subprocess.run(words, cwd=folder, stdin=source, capture_output=True, check=True).stdout


async def test_a_lost_cache_is_made_again_with_the_same_commits(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        ana.body(HUMAN, "Kept.")
        ana.write("skills/tea/SKILL.md", "Boil water.\n")
        await ana.commit("Skill")
        await ana.push()
        await here.edit("persona", value="I changed.")
        await ana.git("pull", "--quiet", "--ff-only")

        shutil.rmtree(tmp_path / "data" / "git")

        bob = await here.clone("Bob")
        assert bob.files() == ana.files()
        assert (await ana.git("rev-parse", "HEAD")).text == (await bob.git("rev-parse", "HEAD")).text
        assert (await ana.git("fetch", "--dry-run")).text == ""
        await here.client.sdk.agents.delete(here.agent_id)
        assert list((tmp_path / "data" / "git").glob("*/*")) == []
        assert not (await ana.git("fetch", ok=False)).ok


async def test_the_same_journal_gives_the_same_commits(tmp_path):
    async with room(tmp_path) as here:
        await here.edit("human", value="Changed.")
        shared = await here.client.sdk.blocks.create(label="team", value="We are two.")
        await here.client.sdk.agents.blocks.attach(shared.id, agent_id=here.agent_id)
        heads: list[str] = []
        for person in ("Ana", "Bob"):
            clone = await here.clone(person)
            heads.append((await clone.git("rev-parse", "HEAD")).text)
            await here.client.live.core.store.write(lambda tx: tx.run("delete from memory_commits"))
        assert heads[0] == heads[1]


async def test_without_git_it_is_said_what_to_install(tmp_path):
    async with room(tmp_path) as here:
        os.environ["PATH"] = str(tmp_path)
        answer = await here.client.http.get(f"{here.url}/info/refs?service=git-upload-pack")
        assert answer.status_code == 501
        assert "apt install git" in answer.json()["detail"]


async def test_many_changes_are_kept_in_few_packs(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        for number in range(70):
            await here.edit("human", value=f"State {number}.")
            async with here.client.live.core.memfs.opened(Actor(), here.agent_id):
                pass
        await ana.git("pull", "--quiet", "--ff-only")
        assert "State 69." in ana.read(HUMAN)
        assert len(await ana.log()) == 71
        shutil.rmtree(tmp_path / "data" / "git")
        bob = await here.clone("Bob")
        assert await bob.log() == await ana.log()
        rows = await here.client.live.core.store.read(
            lambda tx: tx.one("select count(*) as n, max(number) as newest from memory_commits")
        )
        assert rows == {"n": 8, "newest": 71}


async def test_memory_with_an_index_has_its_blocks_at_the_root(tmp_path):
    given = [
        {"label": "MEMORY", "value": "# Memory\n- [Persona](persona.md)\n"},
        {"label": "system/persona", "value": "I am Loci.", "description": "Who you are"},
    ]
    async with room(tmp_path, blocks=given) as here:
        ana = await here.clone()
        assert ana.files() == {
            "MEMORY.md": "# Memory\n- [Persona](persona.md)\n\n",
            "persona.md": "---\nname: Persona\ndescription: Who you are\n---\nI am Loci.\n",
        }
        ana.write("MEMORY.md", "# Index\n")
        ana.body("persona.md", "I am changed.")
        ana.write("people/MEMORY.md", "# People\n")
        ana.write("friends.md", "---\nname: Friends\ndescription: Whom I know\n---\nBob.\n")
        await ana.commit("More")
        await ana.push()
        assert await here.values() == {"MEMORY": "# Index", "system/persona": "I am changed.", "friends": "Bob."}
        await here.edit("friends", value="Bob and Cem.")
        await ana.git("pull", "--quiet", "--ff-only")
        assert ana.read("friends.md") == "---\nname: Friends\ndescription: Whom I know\n---\nBob and Cem.\n"
        (ana.folder / "MEMORY.md").unlink()
        await ana.commit("No index")
        assert "must stay" in await ana.push(ok=False)


async def test_moving_to_the_layout_with_an_index_keeps_the_blocks(tmp_path):
    async with room(tmp_path) as here:
        before = {label: block["id"] for label, block in (await here.blocks()).items()}
        ana = await here.clone()
        await ana.git("mv", PERSONA, "persona.md")
        await ana.git("mv", HUMAN, "human.md")
        ana.write("MEMORY.md", "# Memory\n")
        await ana.commit("New layout")
        await ana.push()
        after = {label: block["id"] for label, block in (await here.blocks()).items()}
        assert after.pop("MEMORY")
        assert after == before
        assert (await ana.git("fetch", "--dry-run")).text == ""


async def test_no_block_stands_where_the_file_of_another_would_be_a_folder(tmp_path):
    given = [{"label": label, "value": label} for label in ("a", "a.md/b", "c")]
    async with room(tmp_path, blocks=given) as here:
        ana = await here.clone()
        assert sorted(ana.files()) == ["system/a%2Emd/b.md", "system/a.md", "system/c.md"]
        ana.write("system/d.md/e.md", "Deep.\n")  # what a person calls so stays so
        (ana.folder / "system/c.md").unlink()
        await ana.commit("Deep")
        await ana.push()
        made = await here.client.sdk.blocks.create(label="d", value="d")
        await here.client.sdk.agents.blocks.attach(made.id, agent_id=here.agent_id)
        await ana.git("pull", "--quiet", "--ff-only")
        assert "d\n" in ana.read(f"system/d~{made.id[-12:]}.md")
        ana.write("note.txt", "x\n")
        await ana.commit("Only a note")
        assert "no block changed" in await ana.push()
        assert await here.values() == {"a": "a", "a.md/b": "a.md/b", "d.md/e": "Deep.", "d": "d"}


async def test_what_a_person_pushed_is_never_overwritten_by_a_block(tmp_path):
    async with room(tmp_path) as here:
        ana = await here.clone()
        theirs = {"persona.md": "My notes.\n", "README.md": "Read.\n", "system/rules.md/why.txt": "So.\n"}
        for path, text in theirs.items():
            ana.write(path, text)
        await ana.commit("Files that are no blocks")
        await ana.push()
        made = {}
        for label in ("rules", "MEMORY"):
            made[label] = await here.client.sdk.blocks.create(label=label, value=f"The {label}.")
            await here.client.sdk.agents.blocks.attach(made[label].id, agent_id=here.agent_id)
            await here.edit("human", value=f"With {label}.")
            await ana.git("pull", "--quiet", "--ff-only")
            assert theirs.items() <= ana.files().items()
        persona = (await here.blocks())["persona"]["id"]
        assert "I am Loci." in ana.read(f"persona~{persona[-12:]}.md")
        ana.write("note.txt", "x\n")
        await ana.commit("Only a note")
        assert "no block changed" in await ana.push()
        await here.client.sdk.agents.blocks.detach(made["MEMORY"].id, agent_id=here.agent_id)
        await ana.git("pull", "--quiet", "--ff-only")
        assert theirs.items() <= ana.files().items()
        assert "I am Loci." in ana.read(PERSONA)
        assert sorted(await here.values()) == ["human", "persona", "rules"]


async def test_blocks_larger_than_a_push_may_make_them_are_kept_and_read(tmp_path):
    given = [{"label": label, "value": "漢" * 1_800_000, "limit": 2_000_000} for label in ("big", "bigger")]
    async with room(tmp_path, blocks=given) as here:
        ana = await here.clone()
        await here.edit("big", value="漢" * 1_800_001)
        await ana.git("pull", "--quiet", "--ff-only")
        ana.body("system/big.md", "漢" * 1_800_002)
        await ana.commit("Larger")
        assert "larger than 5000000 bytes" in await ana.push(ok=False)
        ana.body("system/big.md", "Short.")
        await ana.git("commit", "--quiet", "-a", "--amend", "-m", "Short")
        assert "memory changed" in await ana.push()
        assert (await here.values())["big"] == "Short."


async def test_what_a_clone_gets_can_be_pushed_again(tmp_path):
    given = [
        {"label": "wide", "value": "x", "limit": 2**31 - 1},
        {"label": "long", "value": "x", "description": '"' * 30_000},
        {"label": "a\u2028b", "value": "x"},
        {"label": "odd", "value": "x", "description": "- a\x01b\x7fc\u2028“d” 🌍"},
    ]
    async with room(tmp_path, blocks=given) as here:
        before = await here.blocks()
        ana = await here.clone()
        ana.write("note.txt", "x\n")
        await ana.commit("Only a note")
        assert "no block changed" in await ana.push()
        for path in ana.files().keys() - {"note.txt"}:
            ana.body(path, "y")
        await ana.commit("Edit")
        await ana.push()
        after = await here.blocks()
        for label, block in before.items():
            assert after[label]["value"] == "y"
            assert after[label]["limit"] == block["limit"]
            assert after[label]["description"] == block["description"]
        memory = await here.client.sdk.blocks.create(label="MEMORY", value="# Index")
        await here.client.sdk.agents.blocks.attach(memory.id, agent_id=here.agent_id)
        await ana.git("pull", "--quiet", "--ff-only")
        ana.body("wide.md", "z")
        await ana.commit("Edit at the root")
        await ana.push()


async def test_a_renamed_file_is_a_renamed_block(tmp_path):
    async with room(tmp_path) as here:
        before = (await here.blocks())["human"]["id"]
        ana = await here.clone()
        (ana.folder / "system/people").mkdir()
        await ana.git("mv", HUMAN, "system/people/ana.md")
        await ana.commit("Rename")
        await ana.push()
        assert (await here.blocks())["people/ana"]["id"] == before


async def test_a_deleted_shared_and_detached_block_is_told_by_whoever_did_it(tmp_path):
    async with room(tmp_path) as here:
        shared = await here.client.sdk.blocks.create(label="team", value="We are two.")
        await here.client.sdk.agents.blocks.attach(shared.id, agent_id=here.agent_id)
        ana = await here.clone()
        await here.client.sdk.blocks.update(shared.id, value="We are three.")
        await here.client.sdk.agents.blocks.detach(shared.id, agent_id=here.agent_id)
        await here.client.sdk.blocks.delete((await here.blocks())["human"]["id"])
        await ana.git("pull", "--quiet", "--ff-only")
        assert list(ana.files()) == [PERSONA]
        assert (await ana.log())[:3] == ["user: Delete human", "user: Detach team", "user: Update team"]
        assert (await here.client.sdk.blocks.retrieve(shared.id)).value == "We are three."


async def test_an_agent_without_blocks_has_a_branch_too(tmp_path):
    async with room(tmp_path, blocks=[]) as here:
        ana = await here.clone()
        assert len(await ana.log()) == 1
        ana.write("system/first.md", "Hello.\n")
        await ana.commit("First")
        await ana.push()
        assert await here.values() == {"first": "Hello."}


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_both_sides_do_they_end_in_the_same_state(tmp_path, seed):
    chance = random.Random(seed)
    words = ["", "One line.", "Two\nlines.", "---\nno header", "\n\nblank", "ends\n", "“Ünïcode” 🌍", 'a: "b"', "# x"]
    labels = ["persona", "human", "work/plan", "a b", "x%y", ".dot", "people/ana/likes", "persona.md/x"]
    async with room(tmp_path) as here:
        ana = await here.clone()
        for _ in range(12):
            held = await here.blocks()
            label, value = chance.choice(labels), chance.choice(words)
            description = chance.choice(["Short", 'With "quotes": and # signs', "Two\nlines", " - x"])
            side = chance.choice(["server", "git", "both"])
            if side != "git":
                if label in held:
                    await here.edit(label, value=value, description=description)
                else:
                    made = await here.client.sdk.blocks.create(label=label, value=value, description=description)
                    await here.client.sdk.agents.blocks.attach(made.id, agent_id=here.agent_id)
            if side != "server":
                path = chance.choice([PERSONA, HUMAN, "system/new/one.md", "notes/free.md"])
                if chance.random() < 0.2 and (ana.folder / path).exists():
                    (ana.folder / path).unlink()
                else:
                    head = f"---\ndescription: {json.dumps(description)}\n---\n" if chance.random() < 0.5 else ""
                    ana.write(path, f"{head}{chance.choice(words[1:3])}\n{chance.random()}\n")
                await ana.commit("Edit")
                if "fetch first" in await ana.push("-o", "accept-loss", ok=None):
                    if not (await ana.git("rebase", "--quiet", "origin/main", ok=None)).ok:
                        await ana.git("rebase", "--abort", ok=None)
                    if not (await ana.git("pull", "--quiet", "--rebase", "-X", "theirs", ok=None)).ok:
                        await ana.git("rebase", "--abort")
                        await ana.git("reset", "--quiet", "--hard", "origin/main")
                    await ana.push("-o", "accept-loss")
            await ana.git("pull", "--quiet", "--ff-only")
        bob = await here.clone("Bob")
        assert bob.files() == ana.files()
        values = await here.values()
        files = {path: text.encode() for path, text in bob.files().items() if path.startswith("system/")}
        assert {label_of(path): parse(path, data).value for path, data in files.items()} == values
        bob.write("notes/last.md", "The end.\n")
        await bob.commit("Only a note")
        assert "no block changed" in await bob.push()
        assert await here.values() == values


async def test_only_the_key_opens_it_and_only_to_agents_of_its_organisation(tmp_path):
    settings = replace(live_settings(tmp_path / "data"), api_key="secret-key-of-the-test")
    other = Actor(organization_id="org-11111111-1111-4111-8111-111111111111")
    async with room(tmp_path, settings=settings, key="secret-key-of-the-test") as here:
        for key, fine in (("secret-key-of-the-test", True), ("wrong", False), ("", False)):
            answer = await _refs(here.url, key)
            assert (answer.status_code == 200) is fine
            if not fine:
                assert answer.headers["www-authenticate"].startswith("Basic ")
        foreign = Agent(
            id="agent-00000000-0000-4000-8000-00000000beef",
            name="x",
            agent_type=AgentType.LETTA_V1,
            system="",
            model="m",
        )
        core = here.client.live.core
        await core.store.write(agents.insert, other, foreign, core.clock.now())
        answer = await _refs(here.url.replace(here.agent_id, foreign.id), "secret-key-of-the-test")
        assert answer.status_code == 404
        assert await core.store.read(blocks.blocks_of_agent, other, foreign.id) == []


async def _refs(url, key):
    async with httpx2.AsyncClient(auth=("letta", key)) as http:
        return await http.get(f"{url}/info/refs", params={"service": "git-upload-pack"})


async def test_what_no_git_sends_is_a_bad_request(tmp_path):
    async with room(tmp_path) as here:
        http = here.client.http
        assert (await http.get(f"{here.url}/info/refs")).status_code == 422
        assert (await http.get(f"{here.url}/info/refs?service=git-x")).status_code == 422
        assert (await http.get(f"{here.url}/HEAD")).status_code == 404
        assert (await http.post(f"{here.url}/git-upload-pack", content=b"zzzz")).status_code == 400
        gzip = {"content-encoding": "gzip"}
        assert (await http.post(f"{here.url}/git-upload-pack", content=b"no", headers=gzip)).status_code == 400
        assert (await http.post(f"{here.url}/git-receive-pack", content=b"0000")).status_code == 200
        for body in (b"", b"0003", b"ffff", b"0008abcd0000", b"00"):
            assert (await http.post(f"{here.url}/git-receive-pack", content=body)).status_code == 400
        unknown = here.url.replace(here.agent_id, "agent-00000000-0000-4000-8000-00000000dead")
        assert (await http.get(f"{unknown}/info/refs?service=git-upload-pack")).status_code == 404
