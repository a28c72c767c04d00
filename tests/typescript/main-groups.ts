// The main groups of the API with the unmodified public TypeScript client: each thing is made, found again, changed and
// taken away, and looks as the client's types say where the answer decides what happens next.
//   node dist/main-groups.js URL
import assert from "node:assert/strict";
import Letta, { toFile } from "@letta-ai/letta-client";

const client = new Letta({ baseURL: process.argv[2]!, apiKey: "none", maxRetries: 0 });
let count = 0;
const named = (kind: string): string => `${kind}-ts-${(count += 1)}`;

async function agent(): Promise<string> {
  const made = await client.agents.create({
    name: named("agent"),
    model: "scripted/default",
    memory_blocks: [{ label: "human", value: "Sam." }],
  });
  return made.id;
}

async function all<T>(page: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of page) found.push(item);
  return found;
}

async function blocks(): Promise<void> {
  const block = await client.blocks.create({ label: "team", value: "Old." });
  const [one, two] = [await agent(), await agent()];
  for (const id of [one, two]) await client.agents.blocks.attach(block.id, { agent_id: id });
  await client.blocks.update(block.id, { value: "New." });
  assert.equal((await client.agents.blocks.retrieve("team", { agent_id: two })).value, "New.");
  assert.deepEqual((await all(client.blocks.agents.list(block.id))).map((item) => item.id).sort(), [one, two].sort());
  await client.blocks.delete(block.id);
  await assert.rejects(client.blocks.retrieve(block.id), Letta.NotFoundError);
}

async function tools(): Promise<void> {
  const source = 'def double(number: int) -> int:\n    """Double it.\n\n    Args:\n        number: What to double.\n    """\n    return 2 * number\n';
  const tool = await client.tools.upsert({ source_code: source });
  assert.equal(tool.name, "double");
  const id = await agent();
  await client.agents.tools.attach(tool.id, { agent_id: id });
  assert.ok((await all(client.agents.tools.list(id))).some((item) => item.id === tool.id));
  const answer = await client.agents.messages.create(id, {
    input: '@call double {"number": 21}\n@then\n@say Done.',
  });
  const result: any = answer.messages.find((message) => message.message_type === "tool_return_message");
  assert.equal(result.tool_return, "42");
  assert.equal(result.status, "success");
  await client.agents.tools.detach(tool.id, { agent_id: id });
}

async function conversations(): Promise<void> {
  const id = await agent();
  const made = await client.conversations.create({ agent_id: id });
  const events = await all(await client.conversations.messages.create(made.id, { input: "@say Hello." }));
  assert.ok(events.some((event: any) => event.message_type === "assistant_message"));
  const fork = await client.conversations.fork(made.id);
  await all(await client.conversations.messages.create(fork.id, { input: "@say Elsewhere." }));
  const words = (items: any[]): string => JSON.stringify(items.map((item) => item.content));
  assert.ok(words(await all(client.conversations.messages.list(fork.id))).includes("Elsewhere."));
  assert.ok(!words(await all(client.conversations.messages.list(made.id))).includes("Elsewhere."));
  await client.conversations.update(made.id, { summary: "A greeting" });
  assert.equal((await client.conversations.retrieve(made.id)).summary, "A greeting");
}

async function approvals(): Promise<void> {
  const id = await agent();
  await client.agents.tools.updateApproval("memory_insert", { agent_id: id, body_requires_approval: true });
  const asked = await client.agents.messages.create(id, {
    input: '@call memory_insert {"label": "human", "new_string": "Plays the cello."}\n@then\n@say Noted.',
  });
  assert.equal(asked.stop_reason.stop_reason, "requires_approval");
  const request: any = asked.messages.find((message) => message.message_type === "approval_request_message");
  const call = (request.tool_calls ?? [request.tool_call])[0].tool_call_id;
  const done = await client.agents.messages.create(id, {
    messages: [{ type: "approval", approvals: [{ type: "approval", tool_call_id: call, approve: true }] }],
  });
  assert.equal(done.stop_reason.stop_reason, "end_turn");
  assert.match((await client.agents.blocks.retrieve("human", { agent_id: id })).value, /cello/);
}

async function runs(): Promise<void> {
  const id = await agent();
  await client.agents.messages.create(id, { input: "@say Hello." });
  const [run] = await all(client.runs.list({ agent_id: id }));
  assert.equal(run!.status, "completed");
  const [step] = await all(client.runs.steps.list(run!.id));
  assert.equal((await client.steps.retrieve(step!.id)).run_id, run!.id);
  assert.ok(((await client.runs.usage.retrieve(run!.id)) as any).total_tokens > 0);
  assert.ok(await client.steps.trace.retrieve(step!.id), "the model call was kept");
}

async function archives(): Promise<void> {
  const archive = await client.archives.create({ name: named("archive") });
  await client.archives.passages.create(archive.id, { text: "The spare key is under the blue pot." });
  const id = await agent();
  await client.agents.archives.attach(archive.id, { agent_id: id });
  const found: any = await client.passages.search({ query: "where is the key", agent_id: id });
  assert.match(JSON.stringify(found), /blue pot/);
  await client.archives.delete(archive.id);
}

async function folders(): Promise<void> {
  const folder = await client.folders.create({ name: named("folder") });
  const file = await client.folders.files.upload(folder.id, {
    file: await toFile(new TextEncoder().encode("# Tea\nBrewed at 80 degrees.\n"), "tea.md"),
  });
  let seen: any = file;
  for (let tries = 0; seen.processing_status !== "completed"; tries += 1) {
    assert.ok(tries < 200 && seen.processing_status !== "error", `the file is ${seen.processing_status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    seen = await client.folders.files.retrieve(file.id!, { folder_id: folder.id });
  }
  const id = await agent();
  await client.agents.folders.attach(folder.id, { agent_id: id });
  assert.deepEqual((await all(client.agents.folders.list(id))).map((item) => item.id), [folder.id]);
  const answer = await client.agents.messages.create(id, {
    input: '@call grep_files {"pattern": "80 deg"}\n@then\n@say Found.',
  });
  assert.match(JSON.stringify(answer.messages), /Brewed at 80 degrees/);
  await client.agents.folders.detach(folder.id, { agent_id: id });
  await client.folders.delete(folder.id);
}

async function agents(): Promise<void> {
  const id = await agent();
  await client.agents.messages.create(id, { input: "@say Hello." });
  const file = JSON.stringify(await client.agents.exportFile(id));
  const imported = await client.agents.importFile({
    file: await toFile(new TextEncoder().encode(file), "agent.af"),
    append_copy_suffix: false,
  });
  const copy = await client.agents.retrieve(imported.agent_ids[0]!, { include: ["agent.blocks"] });
  assert.equal(copy.blocks[0]!.value, "Sam.");
  assert.notEqual(copy.id, id);
  await client.agents.delete(id);
  await assert.rejects(client.agents.retrieve(id), Letta.NotFoundError);
}

for (const group of [blocks, tools, conversations, approvals, runs, archives, folders, agents]) {
  await group();
  console.log(group.name);
}
