"""Running the program: the one place where code of users runs, behind walls that stand already.

The result is JSON on a pipe of its own; standard output and error are free text. The source is written to a file and
imported, so that tracebacks show its lines.
"""

import ast
import asyncio
import dataclasses
import functools
import importlib.util
import inspect
import json
import os
import site
import sys
import traceback
import typing
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn, TypeVar, cast

from loci.sandbox.child.frames import Program, Request

_MODULE = "tool"
_LAST = "__last__"
_ENCODE = json.dumps  # kept, should a program replace it
_WRITE, _EXIT = os.write, os._exit
_TRACE_FRAMES = 8

T = TypeVar("T")


def run(request: Request, result: int, folder: str) -> NoReturn:
    """Run the program and end the process."""
    os.environ.clear()
    os.environ.update({**request["env"], "HOME": folder, "TMPDIR": folder})
    packages = os.environ.pop("LOCI_PACKAGES", None)
    if packages:
        site.addsitedir(packages)
    program = request["program"]
    if program["language"] != "python":
        _run_node(request, folder)
    document, error = _attempt(lambda: _run_python(program, folder))
    text, refusal = _attempt(lambda: _ENCODE(document, ensure_ascii=False))
    if error or refusal:
        text = _ENCODE({"error": _described(error or refusal)})
    for stream in (sys.stdout, sys.stderr):
        _attempt(stream.flush)  # closed, or replaced by the program
    left = (text or "").encode(errors="replace")
    while left:
        left = left[_WRITE(result, left) :]
    _EXIT(0)


def _attempt(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """Do what may go wrong in any way, sys.exit and errors that cannot even be shown included."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001  see above
        return None, error


def _run_python(program: Program, folder: str) -> dict[str, object]:
    state = program["agent_state"]
    agent = AgentState(state) if state is not None else None
    if program["kind"] == "script":
        module = _load(_with_last_value(program["source"]), folder)
        value = getattr(module, _LAST, None)
        return {"value": None if value is None else repr(value)}
    module = _load(program["source"], folder)
    function = getattr(module, program["name"], None)
    if not callable(function):
        raise TypeError(f"the source defines no function '{program['name']}'")
    arguments = _fitting(function, program["args"])
    if agent is not None:
        for name in inspect.signature(function).parameters:
            if name.startswith("agent_state"):
                arguments[name] = agent
    value = function(**arguments)
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    answer: dict[str, object] = {"value": _plain(value)}
    if agent is not None:
        answer["blocks"] = agent.memory.changed()
    return answer


def _load(source: str, folder: str) -> ModuleType:
    path = os.path.join(folder, f"{_MODULE}.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source)
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    sys.dont_write_bytecode = True
    if folder not in sys.path:
        sys.path.insert(0, folder)
    _offer_client(source, module)
    spec.loader.exec_module(module)
    return module


def _offer_client(source: str, module: ModuleType) -> None:
    """`client`, for a tool that names it and was told the address of a server."""
    address = os.environ.get("LETTA_BASE_URL")
    if address and "client" in source:
        letta = importlib.import_module("letta_client")
        module.__dict__["client"] = letta.Letta(base_url=address, api_key=os.environ.get("LETTA_API_KEY", "none"))


def _with_last_value(source: str) -> str:
    """The script, with the value of its last line kept if that is an expression."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return source
    lines = source.splitlines(keepends=True)
    line = lines[last.lineno - 1].encode()
    start = last.col_offset
    lines[last.lineno - 1] = (line[:start] + f"{_LAST} = ".encode() + line[start:]).decode()
    return "".join(lines)


def _fitting(function: Any, arguments: dict[str, object]) -> dict[str, Any]:  # noqa: ANN401  a function of a user
    """The arguments, those that are declared as models made into models."""
    hints, _ = _attempt(lambda: typing.get_type_hints(function))
    return {name: _model((hints or {}).get(name), value) for name, value in arguments.items()}


def _model(hint: Any, value: Any) -> Any:  # noqa: ANN401  any annotation, any JSON
    if value is None:
        return None
    validate = getattr(hint, "model_validate", None)
    if validate is not None:
        return validate(value)
    inner = [part for part in typing.get_args(hint) if part is not type(None)]
    if isinstance(value, list) and typing.get_origin(hint) is list and inner:
        return list(map(functools.partial(_model, inner[0]), cast("list[object]", value)))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return hint(**cast("dict[str, Any]", value))
    optional = len(inner) == 1 and typing.get_origin(hint) not in (list, dict)
    return _model(inner[0], value) if optional else cast("object", value)


def _plain(value: Any) -> object:  # noqa: ANN401  whatever a tool returns
    """The value as the server tells it on: text as it is, lists and objects as JSON, the rest in its own words."""
    if value is None or isinstance(value, str):
        return "None" if value is None else str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        value = dump(mode="json")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        many = list(cast("set[object]", value)) if isinstance(value, (set, frozenset)) else cast("object", value)
        return _ENCODE(many, ensure_ascii=False, default=str)
    return str(cast("object", value))


def _described(error: BaseException | None) -> dict[str, object]:
    """What went wrong, in words, though the error may be a class of the program's that gives none."""
    code = error.code if isinstance(error, SystemExit) else None
    ended = isinstance(error, SystemExit)
    message, _ = _attempt(lambda: f"the program asked to end, with {code!r}" if ended else str(error))
    trace, _ = _attempt(lambda: _trace(error) if error else "")
    return {"type": type(error).__name__, "message": message or "", "traceback": trace or ""}


def _trace(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return "".join(traceback.format_list(frames[-_TRACE_FRAMES:]) + traceback.format_exception_only(error))


def _run_node(request: Request, folder: str) -> NoReturn:
    path = os.path.join(folder, "request.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(_ENCODE({**request["program"], "folder": folder, "modules": request["env"].get("NODE_PATH", "")}))
    os.set_inheritable(3, True)
    os.execve(request["node"][0], [*request["node"], path], dict(os.environ))


class Memory:
    """The blocks of the agent. What is set here becomes a change of its memory when the tool has returned."""

    def __init__(self, blocks: list[dict[str, Any]]) -> None:
        self.blocks = [SimpleNamespace(**block) for block in blocks]
        self._before = {block.id: block.value for block in self.blocks}

    def get_block(self, label: str) -> Any:  # noqa: ANN401  a plain object with the fields of a block
        """The block with a label. Raises KeyError."""
        for block in self.blocks:
            if block.label == label:
                return block
        raise KeyError(f"Block field {label} does not exist (available sections = {self.list_block_labels()})")

    def get_blocks(self) -> list[Any]:
        """All blocks."""
        return list(self.blocks)

    def list_block_labels(self) -> list[str]:
        """The labels of the blocks."""
        return [block.label for block in self.blocks]

    def update_block_value(self, label: str, value: str) -> None:
        """Set what a block holds."""
        self.get_block(label).value = str(value)

    def changed(self) -> dict[str, object]:
        """What the blocks hold that were changed, by id."""
        return {block.id: block.value for block in self.blocks if self._before.get(block.id) != block.value}


class AgentState:
    """The agent that calls, as far as a tool may see it."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.memory = Memory(state.pop("blocks"))
        self.blocks = self.memory.blocks
        self.__dict__.update(state)
