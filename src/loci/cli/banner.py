"""What a server says when it has started: where it is, where its data is, and which model answers."""

import logging

from rich.text import Text

from loci import __version__
from loci.api.core import Core
from loci.cli import screen
from loci.config import Settings
from loci.model.demo import SETUP
from loci.store.owner import database_file
from loci.types.actor import Actor

log = logging.getLogger(__name__)

STAND_IN = "none yet: agents get scripted/default, a stand-in that understands a few phrases"
_LABEL_CELLS = 8


async def announce(core: Core, address: str) -> None:
    """Greet, and warn if tools from source would not be isolated here, which takes a moment to see."""
    if core.settings.log_format == "json":
        log.info("listening", extra={"address": address, "data": data_place(core.settings), "version": __version__})
    else:
        await _greet(core, address)
    standing = await core.source_tools.sandbox.standing()
    if standing.hint is not None:
        log.warning("%s %s", standing.message, standing.hint)


async def _greet(core: Core, address: str) -> None:
    """The line about models comes as soon as their servers have been asked."""
    screen.talk.print(Text.assemble("\n  ", ("Loci", "bold"), f" {__version__}\n"))
    _line("API", f"{address}/v1", "the Letta V1 API: any Letta SDK works")
    _line("Docs", f"{address}/docs", "")
    _line("Data", data_place(core.settings), "")
    _line("Key", *key_line(core.settings))
    handle, real = await default_model(core)
    if handle == screen.SCRIPTED:
        _line("Model", STAND_IN, "")
        screen.indented(screen.talk, SETUP, indent=_LABEL_CELLS + 2, style="yellow")
    else:
        _line("Model", handle, f"the default of {screen.amount(real, 'model')}")
    screen.talk.print(Text.assemble("\n  Talk: ", ("loci chat", "bold"), "   Stop: ", ("Ctrl-C", "bold"), "\n"))


def _line(label: str, value: str, remark: str) -> None:
    screen.talk.print(Text.assemble(f"  {label:<{_LABEL_CELLS}}", value, ("  " + remark if remark else "", "dim")))


def data_place(settings: Settings) -> str:
    """Where memories are kept, as people write it."""
    file = database_file(settings.database_url)
    return screen.short_path(file) if file else "in memory only: gone when this ends"


def key_line(settings: Settings) -> tuple[str, str]:
    """Whether clients need a key, and what to do to have it otherwise."""
    if settings.api_key:
        return "clients must send the API key", "Authorization: Bearer …"
    return "none, because only this machine can connect", "set LOCI_API_KEY to ask for one"


async def default_model(core: Core) -> tuple[str, int]:
    """The handle that an agent without a choice gets, and how many real models there are."""
    listed = await core.models.list_models(Actor())
    return core.models.default_model or screen.SCRIPTED, sum(info.handle != screen.SCRIPTED for info in listed)
