"""`milepost upgrade`: the schema of a database at work."""

import click

from milepost.cli.stack import import_local


@click.command()
@click.option(
    "--database-url",
    envvar="MILEPOST_DATABASE_URL",
    required=True,
    help="postgresql://... with the password of its owner; better given in MILEPOST_DATABASE_URL.",
)
def upgrade(database_url: str) -> None:
    """Install Milepost's schema in a database, or bring it up to this checkout's.

    Workers and readers go on meanwhile. Where somebody's long transaction is in the way, it gives up within
    half a second, tries again for half a minute, and then says whose it is. It is done whole or not at all.
    """
    import_local("milepost.local.upgrade").upgrade(database_url, click.echo)
