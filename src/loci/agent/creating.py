"""Making an agent: one transaction from the request to an agent that can be talked to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from loci.agent.compile import PromptMetadata, compile_system
from loci.agent.kinds import AgentKind, kind_of
from loci.agent.names import random_name
from loci.agent.prompts import BLOCK_DESCRIPTIONS, SLEEPTIME_PERSONA, boot_messages, system_prompt
from loci.agent.recompile import prompt_message
from loci.agent.turn import Kit
from loci.errors import BadRequest, Unprocessable
from loci.files import holding
from loci.ids import new_id
from loci.store import agents, archives, attachments, blocks, conversations, groups, identities, messages, tools
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.tools.rules import rules_text
from loci.types.actor import Actor
from loci.types.agents import Agent, AgentType, CompactionSettings, Conversation, ModelSettings
from loci.types.groups import Group, GroupType
from loci.types.identities import Identity
from loci.types.json import EMPTY, JsonObject
from loci.types.memory import BLOCK_LIMIT_CHARS, ActorKind, Author, Block
from loci.types.messages import Kind, Message, Part, Role, Trust
from loci.types.tools import RequiresApproval, Tool, ToolRule

WINDOW_TOKENS_DEFAULT = 128_000
SLEEP_TURNS_DEFAULT = 5
VOICE_BUFFER_MESSAGES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlock:
    """A block to be made with the agent."""

    label: str
    value: str = ""
    description: str | None = None
    limit_chars: int = BLOCK_LIMIT_CHARS
    read_only: bool = False
    hidden: bool | None = None
    tags: tuple[str, ...] = ()
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    template_name: str | None = None
    is_template: bool = False
    project_id: str | None = None

    def block(self) -> Block:
        """The block, with an id of its own."""
        return Block(id=new_id("block"), **{name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstMessage:
    """A message that a new agent's window begins with."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    otid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """What a client wants an agent to be. None leaves the choice to the server, or to the agent's type."""

    name: str | None = None
    agent_type: AgentType = AgentType.LETTA_V1
    system: str | None = None
    model: str | None = None
    embedding: str | None = None
    embedding_given: bool = False
    description: str | None = None
    blocks: tuple[NewBlock, ...] = ()
    block_ids: tuple[str, ...] = ()
    tool_names: tuple[str, ...] = ()
    tool_ids: tuple[str, ...] = ()
    include_base_tools: bool = True
    tool_rules: tuple[ToolRule, ...] | None = None
    include_base_tool_rules: bool | None = None
    only_these_rules: bool = False
    """Whether no rule is added, not even those that tools ask for: the rules were settled elsewhere."""
    tags: tuple[str, ...] = ()
    model_settings: ModelSettings = field(default_factory=ModelSettings)
    compaction_settings: CompactionSettings = field(default_factory=CompactionSettings)
    response_format: JsonObject | None = None
    context_window_tokens: int | None = None
    environment: JsonObject = field(default_factory=lambda: EMPTY)
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    timezone: str = "UTC"
    message_buffer_autoclear: bool = False
    enable_sleeptime: bool | None = None
    hidden: bool | None = None
    max_files_open: int | None = None
    per_file_view_window_limit_chars: int | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    deployment_id: str | None = None
    entity_id: str | None = None
    identity_ids: tuple[str, ...] = ()
    folder_ids: tuple[str, ...] = ()
    first_messages: tuple[FirstMessage, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new agent with what was made for it."""

    agent: Agent
    blocks: tuple[Block, ...]
    tools: tuple[Tool, ...]
    message_ids: tuple[str, ...]
    identities: tuple[Identity, ...] = ()
    group: Group | None = None
    """That of its sleep-time agent."""


def author_of(actor: Actor) -> Author:
    """A person, as the author of a change made through the API."""
    return Author(kind=ActorKind.USER, id=actor.user_id)


async def create(kit: Kit, actor: Actor, wanted: NewAgent) -> Created:
    """Make an agent.

    Raises:
        NotFound: There is no such model, embedding model, block, identity or tool id.
        BadRequest: A tool name is unknown, or no agent of this type can be made.
        Unprocessable: Two blocks with one label.
    """
    agent = await planned(kit, actor, wanted)
    author, now = author_of(actor), kit.clock.now()

    def made(tx: Transaction) -> Created:
        created = put(tx, actor, author, wanted, agent)
        group = give_sleep(tx, actor, author, created.agent, now) if agent.enable_sleeptime else None
        return replace(created, group=group)

    return await kit.store.write(made)


async def planned(kit: Kit, actor: Actor, wanted: NewAgent) -> Agent:
    """The agent as it will be stored, once its models are known to be there. Raises like `create`."""
    if wanted.model is None:
        await kit.models.list_models(actor)  # the default is the best of what was found, so look for it first
    handle = wanted.model or kit.models.default_model
    if handle is None:
        raise BadRequest("No model is given, and the server has no default.", hint="Set 'model' to a handle.")
    model = await kit.models.model(actor, handle)
    embedding = wanted.embedding if wanted.embedding_given else wanted.embedding or kit.models.default_embedder
    if embedding is not None:
        await kit.models.embedder(actor, embedding)
    labels = [block.label for block in wanted.blocks]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise Unprocessable(f"Two memory blocks have the same label: {', '.join(twice)}.")
    return _agent(wanted, handle, embedding, model.info.window_tokens, kit.clock.now())


def _agent(wanted: NewAgent, handle: str, embedding: str | None, window_tokens: int, now: datetime) -> Agent:
    kind = kind_of(wanted.agent_type)
    return Agent(
        id=new_id("agent"),
        name=wanted.name or random_name(),
        agent_type=wanted.agent_type,
        system=wanted.system if wanted.system is not None else system_prompt(kind.prompt),
        model=handle,
        embedding=embedding,
        description=wanted.description,
        tags=tuple(dict.fromkeys(wanted.tags)),
        model_settings=wanted.model_settings,
        compaction_settings=wanted.compaction_settings,
        response_format=wanted.response_format,
        context_window_tokens=wanted.context_window_tokens or min(window_tokens, WINDOW_TOKENS_DEFAULT),
        tool_exec_environment=wanted.environment,
        metadata=wanted.metadata,
        timezone=wanted.timezone,
        message_buffer_autoclear=wanted.message_buffer_autoclear,
        enable_sleeptime=wanted.enable_sleeptime,
        hidden=wanted.hidden,
        max_files_open=wanted.max_files_open or 10,
        per_file_view_window_limit_chars=wanted.per_file_view_window_limit_chars or 25_000,
        project_id=wanted.project_id,
        template_id=wanted.template_id,
        base_template_id=wanted.base_template_id,
        deployment_id=wanted.deployment_id,
        entity_id=wanted.entity_id,
        created_at=now,
        updated_at=now,
    )


def put(tx: Transaction, actor: Actor, author: Author, wanted: NewAgent, agent: Agent) -> Created:
    """Store a planned agent with its blocks, tools and first messages; its sleep-time agent comes after all that it
    begins with (`give_sleep`). Raises NotFound, BadRequest and Conflict.
    """
    kind, now = kind_of(agent.agent_type), agent.created_at
    if now is None:
        raise ValueError("a planned agent has its time")
    chosen = choose_tools(tx, actor, _tool_names(wanted, kind), wanted.tool_ids)
    agent = replace(agent, tool_rules=_rules(wanted, kind, chosen), created_by=actor.user_id)
    agents.insert(tx, actor, agent, now)
    tools.attach(tx, actor, author, agent.id, chosen, now=now)
    if wanted.identity_ids:
        identities.set_of_agent(tx, actor, author, agent.id, wanted.identity_ids, now=now)
    held = _blocks(tx, actor, author, wanted, agent, now)
    if wanted.folder_ids:
        holding.set_folders(tx, actor, author, agent, wanted.folder_ids, now)
        chosen = tools.tools_of_agent(tx, actor, agent.id)
    if held or wanted.folder_ids:
        # Attaching counts up the version; the prompt is compiled from what stands at the end.
        agent = replace(agent, memory_version=agents.memory_version(tx, actor, agent.id))
    message_ids = _first_window(tx, actor, wanted, agent, held, chosen, now=now)
    return Created(
        agent=agent,
        blocks=tuple(held),
        tools=tuple(chosen),
        message_ids=message_ids,
        identities=_identities(tx, actor, wanted.identity_ids),
    )


def give_sleep(tx: Transaction, actor: Actor, author: Author, agent: Agent, now: datetime) -> Group:
    """See that an agent has a sleep-time agent, which shares its blocks and reads what is said from now on.

    Raises BadRequest for an agent that is itself one.
    """
    if agent.agent_type.sleeps:
        raise BadRequest(
            "A sleep-time agent has no sleep-time agent of its own.", hint="Set 'enable_sleeptime' to false."
        )
    known = groups.led_by(tx, actor, [agent.id]).get(agent.id)
    voice = agent.agent_type is AgentType.VOICE_CONVO
    if known is None or not known.manager_type.sleeps:
        known = Group(
            id=new_id("group"),
            manager_type=GroupType.VOICE_SLEEPTIME if voice else GroupType.SLEEPTIME,
            manager_agent_id=agent.id,
            sleeptime_agent_frequency=None if voice else SLEEP_TURNS_DEFAULT,
            max_message_buffer_length=VOICE_BUFFER_MESSAGES if voice else None,
            project_id=agent.project_id,
        )
        groups.insert(tx, actor, known, now)
    members = known.agent_ids or (companion(tx, actor, author, agent, now).id,)
    newest = messages.newest_id(tx, actor, agent.id)
    group = replace(known, agent_ids=members, turns_counter=0, last_processed_message_id=newest)
    groups.update(tx, actor, group)
    return group


def companion(tx: Transaction, actor: Actor, author: Author, agent: Agent, now: datetime) -> Agent:
    """A new agent of the same model that works while this one rests."""
    voice = agent.agent_type is AgentType.VOICE_CONVO
    shared = blocks.blocks_of_agent(tx, actor, agent.id)
    persona = NewBlock(label="memory_persona", value=SLEEPTIME_PERSONA)
    wanted = NewAgent(
        name=f"{agent.name}-sleeptime",
        agent_type=AgentType.VOICE_SLEEPTIME if voice else AgentType.SLEEPTIME,
        blocks=() if any(block.label == persona.label for block in shared) else (persona,),
        block_ids=tuple(block.id for block in shared),
        model_settings=agent.model_settings,
        compaction_settings=agent.compaction_settings,
        timezone=agent.timezone,
        project_id=agent.project_id,
    )
    made = put(
        tx, actor, author, wanted, _agent(wanted, agent.model, agent.embedding, agent.context_window_tokens, now)
    )
    if voice:
        # What the one notes, the other finds.
        archive = archives.archive_to_write(tx, actor, author, agent.id, now)
        archives.attach(tx, actor, author, made.agent.id, archive.id, now)
    return made.agent


def _identities(tx: Transaction, actor: Actor, identity_ids: Sequence[str]) -> tuple[Identity, ...]:
    found = identities.by_ids(tx, actor, identity_ids) if identity_ids else {}
    return tuple(found[identity_id] for identity_id in dict.fromkeys(identity_ids))


def _tool_names(wanted: NewAgent, kind: AgentKind) -> list[str]:
    base = kind.base_tools if wanted.include_base_tools else ()
    return list(dict.fromkeys((*base, *wanted.tool_names)))


def choose_tools(tx: Transaction, actor: Actor, names: Sequence[str], tool_ids: Sequence[str]) -> list[Tool]:
    """The tools with these names and ids. Raises BadRequest for unknown names, NotFound for unknown ids."""
    known = tools.by_names(tx, actor, names)
    missing = [name for name in names if name not in known]
    if missing:
        raise BadRequest(
            f"tools not found by name: {', '.join(missing)}.",
            hint="POST /v1/tools/add-base-tools stores the built-in ones; GET /v1/tools/ lists what there is.",
        )
    by_id = {tool.id: tool for tool in known.values()}
    by_id |= {tool_id: tools.get(tx, actor, tool_id) for tool_id in tool_ids if tool_id not in by_id}
    return list(by_id.values())


def _rules(wanted: NewAgent, kind: AgentKind, chosen: Sequence[Tool]) -> tuple[ToolRule, ...]:
    given = wanted.tool_rules or ()
    if wanted.only_these_rules:
        return given
    base = wanted.include_base_tool_rules
    names = {tool.name for tool in chosen}
    own = tuple(rule for rule in kind.tool_rules if rule.tool_name in names) if base is not False else ()
    asked = tuple(RequiresApproval(tool_name=tool.name) for tool in chosen if tool.default_requires_approval)
    return (*given, *(rule for rule in (*own, *asked) if rule not in given))


def _blocks(
    tx: Transaction, actor: Actor, author: Author, wanted: NewAgent, agent: Agent, now: datetime
) -> list[Block]:
    held = [blocks.insert(tx, actor, author, _block(new), now) for new in wanted.blocks]
    held += [blocks.get(tx, actor, block_id) for block_id in dict.fromkeys(wanted.block_ids)]
    for block in held:
        attachments.attach(tx, actor, author, Attachment(agent_id=agent.id, block_id=block.id), now, read=block)
    return held


def _block(new: NewBlock) -> Block:
    described = new.description if new.description is not None else BLOCK_DESCRIPTIONS.get(new.label)
    return replace(new.block(), description=described)


def _first_window(  # noqa: PLR0913  what a window begins with
    tx: Transaction,
    actor: Actor,
    wanted: NewAgent,
    agent: Agent,
    held: Sequence[Block],
    chosen: Sequence[Tool],
    *,
    now: datetime,
) -> tuple[str, ...]:
    """The main thread with its compiled prompt, and what is said before anybody says something."""
    conversation = Conversation(
        id=conversations.default_id(agent.id),
        agent_id=agent.id,
        compiled_version=agent.memory_version,
        created_at=now,
    )
    talk = first_messages(agent, conversation.id, wanted.first_messages, now)
    metadata = PromptMetadata(compiled_at=now, recall_count=len(talk))
    directories = holding.directories(tx, actor, agent.id) if wanted.folder_ids else ()
    rules = rules_text(agent.tool_rules, [tool.name for tool in chosen])
    compiled = compile_system(agent, held, rules_text=rules, metadata=metadata, directories=directories)
    prompt = prompt_message(agent, conversation, compiled.text, now)
    conversations.insert(tx, actor, replace(conversation, prefix=(prompt.id,)))
    messages.insert(tx, actor, [prompt, *talk])
    return (prompt.id, *(message.id for message in talk))


def first_messages(
    agent: Agent, conversation_id: str, given: Sequence[FirstMessage] | None, now: datetime
) -> list[Message]:
    """What stands in a fresh window: what the client gave, else the boot exchange of types that have one."""

    def message(role: Role, parts: tuple[Part, ...], kind: Kind = Kind.PLAIN, otid: str | None = None) -> Message:
        return Message(
            id=new_id("message"),
            role=role,
            kind=kind,
            trust=Trust.SYSTEM if given is None else Trust.OPERATOR,
            parts=parts,
            created_at=now,
            agent_id=agent.id,
            conversation_id=conversation_id,
            otid=otid,
        )

    if given is not None:
        return [message(item.role, item.parts, otid=item.otid) for item in given]
    if not kind_of(agent.agent_type).boot:
        return []
    return [message(role, parts, kind) for role, kind, parts in boot_messages(now, agent.timezone)]
