"""`run_code`: a model's own lines, run in the sandbox. Nothing is kept from one call to the next."""

from collections.abc import Awaitable, Callable, Mapping

import orjson

from loci.errors import ToolRefused
from loci.sandbox.base import Language, Program, Sandbox
from loci.tools.base import BuiltinTool, ToolContext, ToolOutcome
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import ToolSchema, ToolType

_LANGUAGES: Mapping[str, Language] = {
    "python": "python",
    "js": "javascript",
    "javascript": "javascript",
    "ts": "typescript",
    "typescript": "typescript",
}
_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {
        "code": {
            "type": "string",
            "description": "The code to run. What it prints is returned, and in Python the value of its last line.",
        },
        "language": {
            "type": "string",
            "enum": ["python", "js", "ts"],
            "description": "The language of the code.",
        },
    },
    "required": ["code", "language"],
}


def code_builtins(place: Callable[[Actor], Awaitable[Sandbox]]) -> dict[str, BuiltinTool]:
    """The built-in tools that run code; `place` says where."""

    async def run_code(context: ToolContext, args: JsonObject) -> ToolOutcome:
        language = _LANGUAGES.get(str(args.get("language", "")).lower())
        if language is None:
            raise ToolRefused(f"Code in '{args.get('language')}' is not run here.", hint="Use python, js or ts.")
        program = Program(source=str(args.get("code", "")), language=language)
        sandbox = await place(context.actor)
        ran = await sandbox.run(context.actor.organization_id, program)
        results: list[JsonValue] = [] if ran.value in (None, "None") else [ran.value]
        document: dict[str, JsonValue] = {
            "results": results,
            "logs": {"stdout": _lines(ran.stdout), "stderr": _lines(ran.stderr)},
            "error": ran.error,
        }
        text = orjson.dumps(document).decode()
        return ToolOutcome(text=text, status="error" if ran.error is not None else "success")

    schema = ToolSchema(
        name="run_code",
        description="Run code in a sandbox without network or files. Every call starts from nothing.",
        parameters=_PARAMETERS,
    )
    return {"run_code": BuiltinTool(schema=schema, tool_type=ToolType.BUILTIN, effect="once", outside=run_code)}


def _lines(text: str) -> list[JsonValue]:
    return [text] if text else []
