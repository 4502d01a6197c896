"""`milepost dev`: the local stack until Ctrl-C."""

import argparse
import asyncio
import json as json_format
import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from milepost.local import LocalStackError
from milepost.local.stack import Access, Stack


def dev(
    port: int,
    data: Path | None,
    json: bool,
    *,
    allow_misbehaviour: bool = False,
    until_stdin_ends: bool = False,
) -> int:
    """Runs the stack until SIGINT, SIGTERM or SIGHUP, or stdin's end if asked; returns the exit code.

    Prints where it is: one JSON object on the first line with `json`, a table for people without.
    """
    logging.basicConfig(format="milepost: %(message)s")
    try:
        asyncio.run(_run(Stack(port, data, allow_misbehaviour=allow_misbehaviour), json, until_stdin_ends))
    except LocalStackError as error:
        sys.stderr.write(f"milepost: {error}\n")
        return 1
    return 0


async def _run(stack: Stack, json: bool, until_stdin_ends: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_ends:
        loop.add_reader(sys.stdin, lambda: None if os.read(sys.stdin.fileno(), 4096) else stop.set())
    serving = asyncio.create_task(_serve(stack, json))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    serving.cancel()
    # Cancelled while starting or while serving, it leaves everything stopped.
    (outcome,) = await asyncio.gather(serving, return_exceptions=True)
    if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
        raise outcome


async def _serve(stack: Stack, json: bool) -> None:
    async with stack:
        text = json_format.dumps(asdict(stack.access)) if json else _table(stack.access)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


def _table(access: Access) -> str:
    rows = {
        "Dashboard": access.dashboard_url,
        "API": access.api_url,
        "Supabase": access.supabase_url,
        "Realtime": access.realtime_url,
        "Database": access.database_url,
        "Publishable key": access.publishable_key,
        "Secret key": access.secret_key,
        "Worker key": access.worker_key,
        "Operator key": access.operator_key,
        "Tenant": access.tenant_id,
        "Environment": access.env_file,
    }
    lines = [f"  {name:<16} {value}" for name, value in rows.items()]
    return "\n".join(["Milepost is running on this machine; Ctrl-C stops it.", "", *lines])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m milepost.local.dev", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--allow-misbehaviour", action="store_true", help="serve POST /realtime/v1/misbehave")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when the parent is gone")
    return dev(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
