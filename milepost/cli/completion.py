"""Shell completion: click's own, and job keys from the server."""

import click
from click.shell_completion import CompletionItem, get_completion_class

# A person waits for this after pressing Tab.
PATIENCE_S = 1.0
_MOST = 50


def complete_job(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Keys of the newest jobs that begin so; none where the server gives no answer in time."""
    from milepost._client import Client
    from milepost._job import settings
    from milepost.errors import MilepostError

    try:
        client = Client(*settings(None, None), timeout_s=PATIENCE_S)
    except MilepostError:
        return []
    try:
        found = client.jobs(q=incomplete or None, limit=_MOST).jobs
    except MilepostError:
        return []
    finally:
        client.close()
    named = ctx.params.get(param.name or "") or ()
    return [
        CompletionItem(job.job, help=job.state)
        for job in found
        if job.job.startswith(incomplete) and job.job not in named
    ]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options and jobs.

    \b
      bash    echo 'eval "$(milepost completion bash)"' >> ~/.bashrc
      zsh     echo 'eval "$(milepost completion zsh)"' >> ~/.zshrc
      fish    milepost completion fish > ~/.config/fish/completions/milepost.fish

    Job keys come from the server that MILEPOST_URL names, if it answers within a second.
    """
    from milepost.cli import main

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"Expected a shell that click can complete for, found {shell}.")
    click.echo(kind(main, {}, "milepost", "_MILEPOST_COMPLETE").source())
