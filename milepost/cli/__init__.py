"""The command line: `milepost`.

Exit codes: 0 done, 1 the job failed or was canceled, or the server refused, 2 usage, 3 not reachable.
`milepost run` has its command's.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper

try:
    import click
except ImportError:
    click = None  # type: ignore[assignment]
if click is None or find_spec("rich") is None:  # said here, before a command is half done
    sys.exit("milepost: the command line needs more packages. Install them: pip install 'milepost[cli]'")

from milepost.errors import MilepostError

# In the order of the help; each is imported when it is asked for, so that completion and `run` start fast.
_COMMANDS = {
    "dev": "stack",
    "demo": "stack",
    "run": "run",
    "watch": "watch",
    "ls": "jobs",
    "show": "jobs",
    "explain": "jobs",
    "history": "history",
    "export": "export",
    "pause": "jobs",
    "resume": "jobs",
    "cancel": "jobs",
    "retry": "jobs",
    "priority": "jobs",
    "share": "share",
    "work": "work",
    "backtest": "backtest",
    "alerts": "alerts",
    "tenants": "admin",
    "keys": "admin",
    "members": "admin",
    "upgrade": "upgrade",
    "completion": "completion",
}


class _Commands(click.Group):
    """Shows Milepost's own errors as a message and a hint, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"milepost.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MilepostError as error:
            from milepost.cli.output import failure

            raise failure(error) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="milepost")
def main() -> None:
    """Tracks long-running batch jobs on Supabase.

    \b
      milepost dev                        start all of it on this machine
      milepost run -- ./backup.sh /srv    track a command
      milepost watch                      live bars of all active jobs
      milepost explain nightly-import     why is it slow, stuck or waiting?

    Reads MILEPOST_URL and MILEPOST_KEY; `milepost dev` prints both. `milepost COMMAND --help` has examples.
    """
    for stream in (sys.stdout, sys.stderr):
        # A job's name may have letters that the locale does not.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
