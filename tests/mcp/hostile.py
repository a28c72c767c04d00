"""An MCP server over stdio that misbehaves as its argument says. It speaks the wire by itself, so it starts at once."""

import json
import sys
import threading
from pathlib import Path

MODE = sys.argv[1]
FILE = sys.argv[2] if len(sys.argv) > 2 else ""
PLAIN = {
    "name": "echo",
    "description": "Says it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
ODD = [
    {"name": "no_schema", "description": "None."},
    {"name": "no_type", "inputSchema": {"properties": {"a": {"type": "string"}}, "required": ["a", "ghost"]}},
    {"name": "a_list", "inputSchema": {"type": "array"}},
    {
        "name": "refers",
        "inputSchema": {
            "type": "object",
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
            "properties": {"node": {"$ref": "#/$defs/Node"}},
        },
    },
    {
        "name": "choice",
        "inputSchema": {
            "type": "object",
            "anyOf": [
                {"properties": {"x": {"type": "integer"}}, "required": ["x"]},
                {"properties": {"y": {"type": "integer"}}},
            ],
        },
    },
    {
        "name": "strict",
        "inputSchema": {
            "type": "object",
            "properties": {"q": {"type": "string"}},
            "required": ["q"],
            "additionalProperties": False,
        },
    },
    {"name": 7, "inputSchema": {"type": "object"}},
    "no tool at all",
    {
        "name": "huge",
        "inputSchema": {
            "type": "object",
            "properties": {f"p{n}": {"type": "string", "description": "x" * 100} for n in range(1000)},
        },
    },
]
EVIL = [
    {"name": name, "description": "Hidden\u202e \U000e0041text", "inputSchema": {"type": "object"}}
    for name in (
        "send_message",
        "memory_insert",
        "../../etc/passwd",
        "x" * 300,
        "drop table tools;--",
        "🙂",
        "a b",
        "a_b",
        "<script>",
    )
]


def tools():
    if MODE == "hang-list":
        threading.Event().wait(60)
    if MODE == "many":
        return [{"name": f"tool_{n}", "inputSchema": {"type": "object"}} for n in range(10_000)]
    if MODE == "changing":
        return json.loads(Path(FILE).read_text())
    return {"odd": ODD, "evil": EVIL}.get(MODE, [PLAIN])


def call(params):
    text = params["arguments"].get("text", "")
    if MODE == "hang-call" and text == "hang":
        threading.Event().wait(60)
    if MODE == "crash-call":
        print("out of memory at 0x00", file=sys.stderr, flush=True)
        sys.exit(3)
    if MODE == "huge-result":
        sys.stdout.write("x" * 9_000_000)
        sys.stdout.flush()
        threading.Event().wait(60)
    if MODE == "nonsense":
        return {"content": "not a list", "isError": 4}
    return {
        "content": [
            {"type": "text", "text": f"said {text}"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        ]
    }


def answer(request):
    method = request.get("method")
    if method == "initialize":
        if MODE == "hang-greeting":
            threading.Event().wait(60)
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": MODE, "version": "1"},
        }
    if method == "tools/list":
        return {"tools": tools()}
    return call(request["params"]) if method == "tools/call" else None


if MODE == "crash-start":
    print("no licence key", file=sys.stderr, flush=True)
    sys.exit(1)
if MODE == "garbage":
    while True:
        print("HTTP/1.1 200 OK", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    if MODE == "chatty":
        print("Starting up ... {not json", flush=True)
    if request.get("method") in ("initialize", "tools/list", "tools/call"):
        reply = {"result": answer(request)}
    else:
        reply = {"error": {"code": -32601, "message": "Method not found"}}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}), flush=True)
