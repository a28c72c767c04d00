"""`loci models`: what can answer, and how large its window is."""

from letta_client.types import Model

from loci.cli import screen
from loci.cli.connect import connected
from loci.cli.options import JsonOption, KeyOption, ServerOption, commands
from loci.model.demo import SETUP

app = commands()


@app.command()
def models(json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None) -> None:
    """
    List the models that agents can use, asked of their servers now.

    Examples:
      loci models
      loci models --json | jq -r '.models[].handle'
    """
    with connected(server, api_key) as connection:
        listed = connection.client.models.list()
        embedders = connection.client.models.embeddings.list()
    if json:
        screen.emit(
            {
                "models": [model.model_dump(mode="json") for model in listed],
                "embeddings": [model.model_dump(mode="json") for model in embedders],
            }
        )
        return
    screen.show_table(("MODEL", "WINDOW", "FROM"), [_row(model) for model in listed])
    screen.out.print()
    screen.show_table(
        ("EMBEDDING", "DIMENSIONS", "FROM"),
        [(each.handle or each.name, f"{each.embedding_dim:,}", each.provider_name or "") for each in embedders],
    )
    if all(model.handle == screen.SCRIPTED for model in listed):
        screen.note(f"\n{screen.SCRIPTED} is a stand-in that understands a few phrases. {SETUP}")


def _row(model: Model) -> tuple[str, str, str]:
    return model.handle or model.name, f"{model.max_context_window:,} tokens", model.provider_name or ""
