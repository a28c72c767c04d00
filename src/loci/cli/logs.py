"""The log of a command, as the settings want it."""

from pathlib import Path

from loci import log
from loci.config import Settings


def configure_log(settings: Settings, file: Path | None = None) -> None:
    """Begin to log; to a file, only what is wrong. No key of the settings is ever written."""
    keys = [settings.api_key, *(provider.api_key for provider in settings.providers)]
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.configure(
        level="warning" if file else settings.log_level,
        form=settings.log_format,
        secrets=[key for key in keys if key],
        file=file,
    )
