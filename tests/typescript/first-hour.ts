// What a newcomer does in the first hour, with the unmodified public TypeScript client.
//   node dist/first-hour.js URL before      makes an agent, uses all of it, prints its id
//   node dist/first-hour.js URL after ID    the same agent after a restart: nothing is missing
import assert from "node:assert/strict";
import Letta from "@letta-ai/letta-client";

const [url, when, known] = process.argv.slice(2);
const client = new Letta({ baseURL: url!, apiKey: "none", maxRetries: 0 });

const REMEMBER = `Please remember this.
@think She wants to be remembered.
@call memory_insert {"label": "human", "new_string": "Name: Ada. Lives in Porto."}
@then
@say I will.`;

async function make(): Promise<string> {
  const agent = await client.agents.create({
    model: "scripted/default",
    memory_blocks: [
      { label: "human", value: "Nothing is known yet." },
      { label: "persona", value: "I am attentive." },
    ],
    tools: ["archival_memory_insert", "archival_memory_search"],
  });
  assert.deepEqual(agent.blocks.map((block) => block.label).sort(), ["human", "persona"]);
  return agent.id;
}

async function talk(id: string): Promise<void> {
  const answer = await client.agents.messages.create(id, { messages: [{ role: "user", content: REMEMBER }] });
  assert.deepEqual(
    answer.messages.map((message) => message.message_type),
    ["reasoning_message", "tool_call_message", "tool_return_message", "assistant_message"],
  );
  assert.equal(answer.stop_reason.stop_reason, "end_turn");
  const block = await client.agents.blocks.retrieve("human", { agent_id: id });
  assert.equal(block.value, "Nothing is known yet.\nName: Ada. Lives in Porto.");
}

async function stream(id: string): Promise<void> {
  const pieces: any[] = [];
  const events = await client.agents.messages.create(id, {
    messages: [{ role: "user", content: "@think Hm, a list.\n@say one two three four" }],
    streaming: true,
    stream_tokens: true,
  });
  for await (const event of events) pieces.push(event);
  const said = pieces.filter((piece) => piece.message_type === "assistant_message");
  assert.ok(said.length > 1, "words came one by one");
  assert.equal(said.map((piece) => piece.content).join(""), "one two three four");
  const thought = pieces.filter((piece) => piece.message_type === "reasoning_message");
  assert.equal(thought.map((piece) => piece.reasoning).join(""), "Hm, a list.");
  assert.deepEqual(pieces.slice(-2).map((piece) => piece.message_type), ["stop_reason", "usage_statistics"]);
}

async function archive(id: string): Promise<void> {
  await client.agents.passages.create(id, { text: "Ada's cello was made in Cremona in 1751.", tags: ["music"] });
  await client.agents.passages.create(id, { text: "The roof was mended in May.", tags: ["house"] });
  const found = await client.agents.passages.search(id, { query: "an old instrument, the cello" });
  assert.equal(found.results[0]?.content, "Ada's cello was made in Cremona in 1751.");
}

async function pages(id: string): Promise<void> {
  const forward: string[] = [];
  for await (const message of client.agents.messages.list(id, { limit: 3, order: "asc" })) forward.push(message.id);
  const backward: string[] = [];
  for await (const message of client.agents.messages.list(id, { limit: 3, order: "desc" })) backward.push(message.id);
  assert.deepEqual(new Set(forward), new Set(backward));
  assert.ok(new Set(forward).size >= 6);
}

async function after(id: string): Promise<void> {
  const block = await client.agents.blocks.retrieve("human", { agent_id: id });
  assert.match(block.value, /Name: Ada\. Lives in Porto\./);
  assert.equal((await client.agents.passages.list(id)).length, 2);
  await pages(id);
  const answer = await client.agents.messages.create(id, { input: "@say Still here." });
  const last: any = answer.messages.at(-1);
  assert.equal(last.content, "Still here.");
}

if (when === "before") {
  const id = await make();
  await talk(id);
  await stream(id);
  await archive(id);
  await pages(id);
  console.log(id);
} else {
  await after(known!);
  console.log("ok");
}
