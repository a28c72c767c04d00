"""`loci doctor`: the set-up explained, from the settings to the models, with what to do next."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import typer
from rich.text import Text

from loci.cli import checks, screen
from loci.cli.checks import Finding, Level
from loci.cli.options import JsonOption, commands
from loci.cli.sources import DEFAULT, facts, sources
from loci.config import Settings, load
from loci.errors import LociError
from loci.model.base import ProviderConfig

app = commands()

_MARKS: dict[Level, tuple[str, str]] = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "problem": ("✗", "bold red")}
_WORST_FIRST: tuple[Level, ...] = ("problem", "warn", "ok")
_INDENT = 13
_ALWAYS_SHOWN = ("home", "database_url", "host", "port", "api_key", "default_model", "default_embedding")


@app.command()
def doctor(json: JsonOption = False) -> None:
    """
    Explain the set-up: what is there, what is missing, what to do next. Exit status 1 if there is a problem.

    It changes nothing, and can be asked while a server runs.

    Examples:
      loci doctor
      loci doctor --json | jq -r '.findings[] | select(.level != "ok") | .message'
    """
    environment = dict(os.environ)  # explaining the environment is the one reason to read it outside of the settings
    try:
        settings, origins = load(environment), sources(environment)
    except LociError as error:
        _report({}, [Finding("settings", "problem", error.message, error.advice)], json=json)
        raise typer.Exit(1) from error
    findings = [
        *checks.machine(),
        *checks.safety(settings),
        *checks.port(settings),
        *checks.data(settings),
        checks.git(),
    ]
    findings += asyncio.run(_asked(settings, origins))
    _report(_explained(settings, origins), findings, json=json)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


async def _asked(settings: Settings, origins: Mapping[str, str]) -> list[Finding]:
    return [*await checks.sandbox(settings), *await checks.models(settings, origins)]


def _explained(settings: Settings, origins: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Each setting as text, with where it comes from. Keys are never shown."""
    return {name: (_shown(name, value), origins[name]) for name, value in facts(settings).items()}


def _shown(name: str, value: object) -> str:
    if isinstance(value, ProviderConfig):
        key = "with a key" if value.api_key else "without a key"
        return f"{value.base_url or value.provider_type}, {key}"
    if name == "api_key" and value:
        return "set"
    if isinstance(value, Mapping):
        return ", ".join(str(key) for key in value) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  only the names are shown
    return "none" if value is None or value == () else str(value)


def _report(settings: Mapping[str, tuple[str, str]], findings: Sequence[Finding], *, json: bool) -> None:
    if json:
        screen.emit(
            {
                "settings": {name: {"value": value, "from": origin} for name, (value, origin) in settings.items()},
                "findings": [asdict(finding) for finding in findings],
                "worst": next(level for level in _WORST_FIRST if any(each.level == level for each in findings)),
            }
        )
        return
    shown = [
        (name, screen.short_path(value), origin)
        for name, (value, origin) in settings.items()
        if name in _ALWAYS_SHOWN or origin != DEFAULT
    ]
    if shown:
        screen.show_table(("SETTING", "VALUE", "FROM"), shown)
        screen.out.print()
    for finding in findings:
        mark, style = _MARKS[finding.level]
        head = Text.assemble((f"{mark} ", style), (finding.check, "dim"))
        screen.item(screen.out, head, finding.message, indent=_INDENT)
        if finding.hint:
            screen.indented(screen.out, finding.hint, indent=_INDENT, style="dim")
    screen.out.print(_verdict(findings))


def _verdict(findings: Sequence[Finding]) -> Text:
    problems = sum(finding.level == "problem" for finding in findings)
    warnings = sum(finding.level == "warn" for finding in findings)
    if problems:
        return Text(f"\n{screen.amount(problems, 'problem')} to solve.", "bold red")
    if warnings:
        return Text(f"\nIt works, with {screen.amount(warnings, 'warning')}.", "yellow")
    return Text("\nAll is well.", "green")
