"""Measure servers that speak the Letta V1 REST API side by side: `python -m bench --help`."""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

from bench.suites import QUICK, SHORT, SUITES, Row, Size, medians
from bench.target import Target, fake_model, free_port, own_server

EXAMPLES = """
examples:
  python -m bench                                  a fresh Loci and an instant model, everything measured
  python -m bench --quick --only turn throughput   a short look
  python -m bench --fake-port 9009 \\
      --target old=http://127.0.0.1:8284 --model old=openai-proxy/fake --embedding old=none
                                                   side by side with a server that you started yourself with
                                                   OPENAI_BASE_URL=http://127.0.0.1:9009/v1
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--target", action="append", default=[], metavar="NAME=URL", help="another server to compare with"
    )
    parser.add_argument("--model", action="append", default=[], metavar="NAME=HANDLE", help="its model handle")
    parser.add_argument("--embedding", action="append", default=[], metavar="NAME=HANDLE", help="its embedding handle")
    parser.add_argument(
        "--pid", action="append", default=[], metavar="NAME=PID", help="its process, to see memory and CPU"
    )
    parser.add_argument("--only", nargs="+", choices=sorted(SUITES), help="measure only these")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and smaller sizes")
    parser.add_argument("--no-own", action="store_true", help="do not start a Loci of its own")
    parser.add_argument(
        "--fake-port", type=int, default=0, help="port of the instant model server (default: any free one)"
    )
    parser.add_argument("--tokens", type=int, default=1, help="words in each answer of the instant model")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    return parser.parse_args()


def pairs(values: list[str]) -> dict[str, str]:
    return dict(value.split("=", 1) for value in values)


def targets_of(chosen: argparse.Namespace) -> list[Target]:
    models, embeddings, pids = pairs(chosen.model), pairs(chosen.embedding), pairs(chosen.pid)
    return [
        Target(
            name=name,
            url=url,
            model=models.get(name, "openai-proxy/fake"),
            embedding=None if embeddings.get(name) == "none" else embeddings.get(name),
            pid=int(pids[name]) if name in pids else None,
        )
        for name, url in pairs(chosen.target).items()
    ]


async def measure(targets: list[Target], chosen: argparse.Namespace, talk: Console) -> dict[str, list[Row]]:
    size = QUICK if chosen.quick else Size()
    found: dict[str, list[Row]] = {target.name: [] for target in targets}
    for name, suite in SUITES.items():
        if chosen.only and name not in chosen.only:
            continue
        rounds: dict[str, list[list[Row]]] = {target.name: [] for target in targets}
        for _ in range(size.rounds if name in SHORT else 1):
            for target in targets:
                talk.print(f"[dim]{name}: {target.name} …[/dim]")
                try:
                    rounds[target.name].append(await suite(target, size))
                finally:
                    await target.forget()
        for target in targets:
            found[target.name] += medians(rounds[target.name])
    return found


def first_model(target: Target) -> str:
    """The first real model that a server lists."""
    listed = httpx2.get(f"{target.url}/v1/models/", timeout=30.0).json()
    return next(str(model["handle"]) for model in listed if model["provider_name"] != "scripted")


def table(found: dict[str, list[Row]]) -> Table:
    names = list(found)
    made = Table("measure", "unit", *names, *(["ratio"] if len(names) > 1 else []))
    rows = {row.name: row for results in found.values() for row in results}
    for row in rows.values():
        values = [next((item.value for item in found[name] if item.name == row.name), None) for name in names]
        shown = ["–" if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in values]
        first, last = values[0], values[-1]
        ratio = f"{last / first:,.1f} ×" if len(names) > 1 and first and last else ""
        made.add_row(row.name, row.unit, *shown, *([ratio] if len(names) > 1 else []))
    return made


def main() -> None:
    chosen = arguments()
    talk = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        model_url, model_pid = stack.enter_context(fake_model(chosen.fake_port or free_port(), chosen.tokens))
        targets = targets_of(chosen)
        if not chosen.no_own:
            own = stack.enter_context(own_server(model_url))
            own.model = first_model(own)
            targets.insert(0, own)
        if sys.platform == "linux":
            for target in targets:
                target.model_pid = model_pid
        found = asyncio.run(measure(targets, chosen, talk))
    Console().print(table(found))
    if chosen.json:
        plain = {
            name: {row.name: {"value": row.value, "unit": row.unit} for row in rows} for name, rows in found.items()
        }
        chosen.json.write_text(json.dumps(plain, indent=2), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
