"""Where each setting comes from, found by loading the settings again without one variable after the other.

So there is no second list of names that could disagree with what `load` really reads.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from loci.config import Settings, load
from loci.errors import LociError

DEFAULT, FILE, ENVIRONMENT = "default", "config.toml", "environment"
HOME_VARIABLE = "LOCI_HOME"
_NOWHERE = Path("/nonexistent/loci")


def facts(settings: Settings) -> dict[str, object]:
    """The settings one by one; each provider is one of its own (see `provider_fact`)."""
    found: dict[str, object] = {
        each.name: getattr(settings, each.name) for each in fields(Settings) if each.name != "providers"
    }
    return found | {provider_fact(provider.name): provider for provider in settings.providers}


def provider_fact(name: str) -> str:
    """The name under which a provider stands among the facts."""
    return f"providers.{name}"


def sources(environment: Mapping[str, str]) -> dict[str, str]:
    """For each fact the variable that it comes from, `config.toml` or `default`. Raises BadRequest, as `load` does."""
    settings = load(environment)
    now, file, default = facts(settings), facts(load({}, home=settings.home)), facts(_default(settings.home))
    named: dict[str, str] = {}
    for variable in environment:
        without = _without(environment, variable, settings.home)
        named |= {name: variable for name, value in now.items() if name not in without or without[name] != value}
    origins: dict[str, str] = {}
    for name, value in now.items():
        if name in named:
            origins[name] = named[name]
        elif name not in file or file[name] != value:
            origins[name] = ENVIRONMENT  # two variables say the same, so that neither is missed
        else:
            origins[name] = FILE if name not in default or default[name] != value else DEFAULT
    if HOME_VARIABLE in environment:
        origins["home"] = HOME_VARIABLE
        if origins["database_url"] == DEFAULT:
            origins["database_url"] = HOME_VARIABLE
    return origins


def _without(environment: Mapping[str, str], variable: str, home: Path) -> Mapping[str, object]:
    rest = {name: value for name, value in environment.items() if name != variable}
    try:
        return facts(load(rest, home=home))
    except LociError:  # that variable hides a fault of the file: it stands for all that it changes
        return facts(load({}, home=_NOWHERE))


def _default(home: Path) -> Settings:
    bare = load({}, home=_NOWHERE)
    return replace(bare, home=home, database_url=bare.database_url.replace(str(_NOWHERE), str(home)))
