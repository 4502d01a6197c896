"""`milepost dev` and `milepost demo`: the whole stack on this machine. It runs from a checkout only."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from milepost._settings import Settings
from milepost.cli.output import as_json
from milepost.errors import ConfigurationError


def import_local(name: str) -> ModuleType:
    """A module of the local stack. Raises ConfigurationError where a package that it needs is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == "milepost.local":
            raise ConfigurationError(
                "Expected the local stack, found the installed package: the SDK and the command line only.",
                "Clone the repository and run `make dev` or `make demo` in it; or set MILEPOST_URL and "
                "MILEPOST_KEY to a server that runs.",
            ) from None
        if (error.name or "").split(".")[0] == "milepost":
            raise
        raise ConfigurationError(
            f"The local stack needs the package {error.name}, which is not installed.",
            "Run `make setup` in the checkout.",
        ) from None


@click.command()
@click.option(
    "--port", default=54321, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Keeps data and keys in this folder."
)
@as_json
def dev(port: int, data: Path | None, json: bool) -> None:
    """Run Milepost on this machine until Ctrl-C.

    Postgres, PostgREST, the functions, the page and a stand-in for Supabase Realtime, for development only.
    With --json the first line says where everything is, and the keys.
    """
    sys.exit(import_local("milepost.local.dev").dev(port, data, json))


@click.command()
@as_json
def demo(json: bool) -> None:
    """Run a real job: checksum the files of the Python and Node installations on this machine.

    Starts the local stack for it, unless MILEPOST_URL names a server. On a terminal it stays with the page's
    address until Ctrl-C.
    """
    if not Settings.url:
        import_local("milepost.local.running")
    sys.exit(import_local("milepost.demo").demo(json))
