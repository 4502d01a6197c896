"""The command line: `milepost`.

Exit codes: 0 done, 1 the job failed or was canceled, or the server refused, 2 usage, 3 not reachable.
"""

import sys

try:
    import click
    import rich  # noqa: F401 - said here, before a command is half done
except ImportError:
    sys.exit("milepost: the command line needs more packages. Install them: pip install 'milepost[cli]'")

from milepost.cli import admin, alerts, backtest, export, history, jobs, share, stack, watch, work
from milepost.cli.output import failure
from milepost.errors import MilepostError


class _Commands(click.Group):
    """Shows Milepost's own errors as a message and a hint, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MilepostError as error:
            raise failure(error) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="milepost")
def main() -> None:
    """Tracks long-running batch jobs on Supabase.

    Reads MILEPOST_URL and MILEPOST_KEY. `milepost dev` starts all of it on this machine and prints both.
    """


for command in (
    stack.dev,
    stack.demo,
    jobs.ls,
    jobs.show,
    watch.watch,
    jobs.explain,
    *jobs.controls,
    history.history,
    export.export,
    backtest.backtest,
    jobs.priority,
    share.share,
    work.work,
    alerts.alerts,
    admin.tenants,
    admin.keys,
    admin.members,
):
    main.add_command(command)
