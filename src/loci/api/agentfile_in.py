"""Agent files (.af) as they come: ours, those of the archived server in any of its versions, and those written by hand.

Leniency has one rule: what can be taken over is, what cannot is named in a warning, and only a file that makes no sense
is refused, with the place in it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from loci.agent.agentfile import AgentFile, FileAgent, FileArchive
from loci.agent.agentfolders import FileFolder
from loci.api.agentfile_folders import count_of, read_folders, read_opened
from loci.api.agentfile_old import RULE_NAMES, modern
from loci.api.bodies import read_json
from loci.api.requests_agents import AgentIn, BlockIn, Body, CompactionIn
from loci.api.wire_filemessages import OWN_KEY, read_message
from loci.errors import BadRequest, Unprocessable
from loci.ids import new_id
from loci.store import agents as rows
from loci.store.rules import rule_from_json
from loci.types.agents import AgentType
from loci.types.groups import MEMBERS_MAX, TURNS_MAX, Group, GroupType
from loci.types.json import JsonObject, list_of, object_of, text_of
from loci.types.memory import Archive, Block, Passage
from loci.types.messages import Message, Role, Trust
from loci.types.tools import Tool, ToolRule, ToolType

AGENTS_MAX = 100
_PLAIN = (
    "name",
    "system",
    "description",
    "metadata",
    "tags",
    "model",
    "embedding",
    "llm_config",
    "embedding_config",
    "model_settings",
    "context_window_limit",
    "response_format",
    "timezone",
    "message_buffer_autoclear",
    "enable_sleeptime",
    "hidden",
    "max_files_open",
    "per_file_view_window_char_limit",
    "memory_blocks",
    "tools",
)
_GROUPS = {kind.value: kind for kind in GroupType}
T = TypeVar("T", bound=Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the person who imports wants otherwise than the file says."""

    name: str | None = None
    copy_suffix: bool = True
    model: str | None = None
    embedding: str | None = None
    project_id: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    strip_messages: bool = False


def parse(raw: bytes) -> JsonObject:
    """The JSON of a file. Raises HTTPException for what is no JSON, and BadRequest for what is no agent file."""
    document = read_json(raw.removeprefix(b"\xef\xbb\xbf"), "The file")
    if isinstance(document, str):  # some clients saved the text of the answer as a JSON text
        document = read_json(document.encode(), "The text in the file")
    if not isinstance(document, dict):
        raise BadRequest("An agent file is a JSON object.", hint="Export one with GET /v1/agents/{agent_id}/export.")
    return modern(cast("JsonObject", document))


def read_file(document: JsonObject, wishes: Wishes, seal: Callable[[str, str], str], now: datetime) -> AgentFile:
    """What a file says and the person wishes. `seal` keeps secrets. Raises BadRequest and Unprocessable."""
    return _Reading(document, wishes, seal, now).file()


class _Reading:
    """One file being read, and what was noticed meanwhile."""

    def __init__(self, document: JsonObject, wishes: Wishes, seal: Callable[[str, str], str], now: datetime) -> None:
        self._document = document
        self._wishes = wishes
        self._seal = seal
        self._now = now
        self._warnings: list[str] = []

    def file(self) -> AgentFile:
        """All of it."""
        agents = _list(self._document, "agents")
        if not 0 < len(agents) <= AGENTS_MAX:
            raise BadRequest(f"The file holds {len(agents)} agents; a file has from 1 to {AGENTS_MAX}.")
        own = object_of(self._document.get(OWN_KEY))
        tools = {key: tool for key, item, at in _by_id(self._document, "tools") if (tool := self._tool(item, at))}
        blocks = {key: self._block(item, at) for key, item, at in _by_id(self._document, "blocks")}
        archives = {key: _archive(item, at) for key, item, at in _by_id(own, "archives")}
        sources, files = _by_id(self._document, "sources"), _by_id(self._document, "files")
        folders = read_folders(sources, files, self._wishes.embedding, self._warnings)
        several = len(agents) > 1
        read = tuple(self._agent(item, f"agents[{number}]", several, folders) for number, item in enumerate(agents))
        for number, item in enumerate(read):
            _check(item, f"agents[{number}]", blocks, archives)
        known = {key for key, _, _ in _by_id(self._document, "tools")}
        lost = sorted({tool_id for item in read for tool_id in item.new.tool_ids} - known)
        if lost:
            raise Unprocessable(f"agents: there is no {lost[0]} among the tools of the file.")
        return AgentFile(
            agents=read,
            blocks=blocks,
            tools=tools,
            archives=archives,
            folders=folders,
            groups=self._groups(agents, blocks),
            warnings=tuple(self._warnings),
        )

    def _groups(self, agents: Sequence[JsonObject], blocks: Mapping[str, Block]) -> tuple[Group, ...]:
        """The groups whose agents are all in the file, by its ids; one of sleep-time agents for each manager."""
        known, found = {_id(item) for item in agents} - {""}, list[Group]()
        leads = {_id(item) for item in agents if item.get("enable_sleeptime") is True} - {""}
        for item in (given := _list(self._document, "groups")):
            lead, members = object_of(item.get("manager_config")), _ids(item, "agent_ids")
            kind = _GROUPS.get(str(lead.get("manager_type") or GroupType.ROUND_ROBIN.value))
            manager = None if kind is GroupType.ROUND_ROBIN else str(lead.get("manager_agent_id"))
            everybody = {*members, *([manager] if manager else [])}
            if kind is None or not 0 < len(members) <= MEMBERS_MAX or not known.issuperset(everybody):
                continue
            if kind.sleeps and manager not in leads - set(members):
                continue
            leads -= {manager} if kind.sleeps else set()
            turns = count_of(lead.get("max_turns"))
            group = Group(
                id=new_id("group"),
                manager_type=kind,
                manager_agent_id=manager,
                agent_ids=members,
                description=text_of(item, "description") or "",
                shared_block_ids=tuple(key for key in _ids(item, "shared_block_ids") if key in blocks),
                max_turns=turns and min(turns, TURNS_MAX),
                termination_token=text_of(lead, "termination_token"),
                sleeptime_agent_frequency=count_of(lead.get("sleeptime_agent_frequency")),
                max_message_buffer_length=count_of(lead.get("max_message_buffer_length")),
                min_message_buffer_length=count_of(lead.get("min_message_buffer_length")),
                hidden=True if item.get("hidden") is True else None,
            )
            found.append(group)
        if left := len(given) - len(found):
            self._warnings.append(f"Groups are not taken over: the file holds {left}.")
        return tuple(found)

    def _agent(self, item: JsonObject, where: str, several: bool, folders: Mapping[str, FileFolder]) -> FileAgent:
        wishes, own = self._wishes, object_of(item.get(OWN_KEY))
        fields: dict[str, Any] = {key: item[key] for key in _PLAIN if item.get(key) is not None}
        fields["llm_config"] = _clean_config(object_of(fields.get("llm_config")))
        body = _valid(AgentIn, fields, where)
        environment = {key: str(value or "") for key, value in _environment(item).items()} | dict(wishes.secrets)
        new = body.new_agent({key: self._seal(key, text) for key, text in environment.items()})
        settings = own.get("model_settings")
        name = self._name(new.name or "agent", where, several)
        held = dict.fromkeys((*_ids(item, "source_ids"), *_ids(item, "folder_ids")))
        folder_ids = tuple(key for key in held if key in folders)
        if len(folder_ids) < len(held):
            self._warnings.append(f"{where}: folders that are not in the file: {len(held) - len(folder_ids)}.")
        new = replace(
            new,
            name=name,
            agent_type=self._agent_type(item, where),
            model=wishes.model or new.model,
            embedding=wishes.embedding or new.embedding,
            project_id=wishes.project_id,
            model_settings=rows.model_settings_from(settings) if isinstance(settings, Mapping) else new.model_settings,
            tool_ids=_ids(item, "tool_ids"),
            block_ids=_ids(item, "block_ids"),
            folder_ids=folder_ids,
            tool_rules=self._rules(item, where),
            only_these_rules=True,
            include_base_tools=item.get("include_base_tools") is True,
        )
        if new.enable_sleeptime and new.agent_type.sleeps:
            self._warnings.append(f"{where} is a sleep-time agent, so it has none of its own: enable_sleeptime is off.")
            new = replace(new, enable_sleeptime=None)
        if item.get("compaction_settings"):
            new = replace(new, compaction_settings=self._compaction(item, where, new.compaction_settings))
        messages = [] if wishes.strip_messages else _list(item, "messages")
        said, window = self._messages(messages, item, where)
        return FileAgent(
            new=new,
            messages=said,
            in_context=window,
            archive_ids=_ids(own, "archive_ids"),
            opened=read_opened(_list(item, "files_agents"), folder_ids, folders),
            starts_fresh=not messages,
            id=_id(item),
        )

    def _name(self, name: str, where: str, several: bool) -> str:
        if self._wishes.name:
            return f"{self._wishes.name}_{where[7:-1]}" if several else self._wishes.name
        return f"{name}_copy" if self._wishes.copy_suffix else name

    def _agent_type(self, item: JsonObject, where: str) -> AgentType:
        given = item.get("agent_type")
        known = {kind.value: kind for kind in AgentType if kind is not AgentType.SPLIT_THREAD}
        if given is not None and given not in known:
            self._warnings.append(
                f"{where}.agent_type is '{given}', which is not known; letta_v1_agent takes its place."
            )
        return known.get(str(given), AgentType.LETTA_V1)

    def _compaction(self, item: JsonObject, where: str, default: Any) -> Any:  # noqa: ANN401  CompactionSettings
        try:
            given = object_of(item["compaction_settings"])
            given = {key: value for key, value in given.items() if value is not None or key == "clip_chars"}
            return CompactionIn.model_validate(given).settings()
        except ValidationError:
            self._warnings.append(f"{where}.compaction_settings make no sense here; the usual ones take their place.")
            return default

    def _rules(self, item: JsonObject, where: str) -> tuple[ToolRule, ...]:
        found: list[ToolRule] = []
        for number, rule in enumerate(_list(item, "tool_rules")):
            kind = str(rule.get("type"))
            try:
                found.append(rule_from_json({**rule, "type": RULE_NAMES.get(kind, kind)}))
            except Unprocessable as error:
                self._warnings.append(f"{where}.tool_rules[{number}] was left out: {error}")
        return tuple(found)

    def _messages(
        self, given: Sequence[JsonObject], item: JsonObject, where: str
    ) -> tuple[tuple[Message, ...], tuple[str, ...] | None]:
        """The messages without the compiled prompt, which is compiled anew, and which of them are in the window."""
        tools: dict[str, str] = {}
        otids: set[str] = set()
        said: dict[str, Message] = {}
        prompts: set[str] = set()
        listed = _ids(item, "in_context_message_ids") if item.get("in_context_message_ids") is not None else None
        for number, entry in enumerate(given):
            message = read_message(entry, f"{where}.messages[{number}]", tools, self._now)
            key = message.id or f"message-{number}"
            if key in said or key in prompts:
                raise Unprocessable(f"{where}.messages[{number}]: the file has two messages with the id {key}.")
            if message.role is Role.SYSTEM and (number == 0 or (listed or ("",))[0] == key):
                prompts.add(key)
                continue
            tools |= {call.id: call.name for call in message.tool_calls}
            otid = None if message.otid in otids else message.otid
            otids |= {otid} if otid else set()
            said[key] = replace(message, id=key, otid=otid)
        window = None if listed is None else tuple(key for key in dict.fromkeys(listed) if key in said)
        missing = set(listed or ()) - said.keys() - prompts
        if missing and given:
            self._warnings.append(f"{where}: {len(missing)} messages of the window are not in the file.")
        return tuple(said.values()), window

    def _block(self, item: JsonObject, where: str) -> Block:
        body = _valid(BlockIn, {key: value for key, value in item.items() if value is not None}, where)
        return body.new_block().block()

    def _tool(self, item: JsonObject, where: str) -> Tool | None:
        schema = object_of(item.get("json_schema"))
        name = item.get("name") or schema.get("name")
        if not isinstance(name, str) or not name:
            raise Unprocessable(f"{where}.name is missing.")
        known = {kind.value: kind for kind in ToolType}
        tool_type = known.get(str(item.get("tool_type") or "custom"))
        if tool_type is None:
            self._warnings.append(f"The tool '{name}' was left out: '{item.get('tool_type')}' is no kind of tool here.")
            return None
        source, limit = item.get("source_code"), item.get("return_char_limit")
        description = str(item.get("description") or schema.get("description") or "")
        if not schema:
            self._warnings.append(f"The tool '{name}' has no schema in the file; it takes no arguments for now.")
        parameters = schema.get("parameters") or {"type": "object", "properties": {}}
        return Tool(
            id="",
            name=name,
            tool_type=tool_type,
            description=description,
            json_schema=schema or {"name": name, "description": description, "parameters": parameters},
            tags=tuple(str(tag) for tag in list_of(item.get("tags"))),
            source_code=source if isinstance(source, str) and source else None,
            source_type=str(item.get("source_type") or "python"),
            args_json_schema=object_of(item.get("args_json_schema")) or None,
            return_limit_chars=limit if isinstance(limit, int) and 0 < limit <= 1_000_000 else 50_000,
            pip_requirements=tuple(_list(item, "pip_requirements")),
            npm_requirements=tuple(_list(item, "npm_requirements")),
            default_requires_approval=item.get("default_requires_approval") is True,
            enable_parallel_execution=item.get("enable_parallel_execution") is True,
            metadata=object_of(item.get("metadata_")),
        )


def _check(item: FileAgent, where: str, blocks: Mapping[str, Block], archives: Mapping[str, FileArchive]) -> None:
    """See that what the agent refers to is there, and that its blocks can stand in one prompt."""
    lost = [key for key in item.new.block_ids if key not in blocks]
    lost += [key for key in item.archive_ids if key not in archives]
    if lost:
        raise Unprocessable(f"{where}: there is no {lost[0]} in the file.")
    labels = [blocks[key].label for key in dict.fromkeys(item.new.block_ids)]
    labels += [block.label for block in item.new.blocks]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise Unprocessable(f"{where}: two blocks have the label '{twice[0]}'.")


def _archive(item: JsonObject, where: str) -> FileArchive:
    archive = Archive(
        id="",
        name=str(item.get("name") or "Archive"),
        description=text_of(item, "description"),
        embedding=text_of(item, "embedding"),
        metadata=object_of(item.get("metadata")),
    )
    found: list[Passage] = []
    for number, entry in enumerate(_list(item, "passages")):
        text, at = entry.get("text"), entry.get("created_at")
        if not isinstance(text, str) or not text:
            raise Unprocessable(f"{where}.passages[{number}].text is missing.")
        try:
            made = datetime.fromisoformat(at) if isinstance(at, str) else None
        except ValueError:
            raise Unprocessable(f"{where}.passages[{number}].created_at is no time.") from None
        tags = tuple(str(tag) for tag in list_of(entry.get("tags")))
        metadata = object_of(entry.get("metadata"))
        found.append(
            Passage(id="", archive_id="", text=text, tags=tags, metadata=metadata, created_at=made, trust=Trust.IMPORT)
        )
    return FileArchive(archive=archive, passages=tuple(found))


def _clean_config(config: JsonObject) -> JsonObject | None:
    """A description of a model without numbers that are none: old files hold zeros and nulls."""
    kept = dict(config)
    for key in ("max_tokens", "context_window", "max_reasoning_tokens"):
        if count_of(kept.get(key)) is None:
            kept.pop(key, None)
    if isinstance(kept.get("temperature"), bool) or not isinstance(kept.get("temperature"), int | float):
        kept.pop("temperature", None)
    return kept or None


def _environment(item: JsonObject) -> JsonObject:
    return object_of(item.get("secrets") or item.get("tool_exec_environment_variables"))


def _valid(model: type[T], fields: Mapping[str, Any], where: str) -> T:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([where, *map(str, first["loc"])])
        raise Unprocessable(f"{place}: {first['msg']}.") from None


def _by_id(document: JsonObject, key: str) -> list[tuple[str, JsonObject, str]]:
    """The things of one kind with their ids and places. Raises Unprocessable for an id that stands twice."""
    found = [
        (str(item.get("id") or f"{key}-{number}"), item, f"{key}[{number}]")
        for number, item in enumerate(_list(document, key))
    ]
    if len({name for name, _, _ in found}) < len(found):
        raise Unprocessable(f"{key}: two of them have the same id.")
    return found


def _list(document: JsonObject, key: str) -> list[JsonObject]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise Unprocessable(f"{key} must be a list of objects.")
    return cast("list[JsonObject]", value)


def _id(item: JsonObject) -> str:
    return str(item.get("id") or "")


def _ids(item: JsonObject, key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value) for value in list_of(item.get(key))))
