"""The commands of docs/installing.md work, against the local stack."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from running_stack import RunningStack
from test_each_alone import serving

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/installing.md").read_text(), re.DOTALL)


def environment(stack: RunningStack) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "CRON_SECRET": stack.cron_secret,
        "MILEPOST_URL": stack.api_url,
    }


def test_there_is_no_block_that_nothing_runs() -> None:
    cli, functions, keys = BLOCKS
    # test_supabase_cli.py pushes; linking needs an account.
    assert cli.splitlines() == ["npx supabase link --project-ref abcdefgh", "npx supabase db push"]
    assert len(functions.splitlines()) == len(keys.splitlines()) == 2


def test_the_functions_serve_all_and_one(stack: RunningStack) -> None:
    for command in BLOCKS[1].splitlines():
        with serving(shlex.split(command), ROOT, environment(stack)) as client:
            assert client.post("/v1/checkpoints").status_code == 401


def test_keys_are_made_and_nothing_is_wrong(stack: RunningStack) -> None:
    done = subprocess.run(
        ["bash", "-euc", BLOCKS[2]], env=environment(stack), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mp_" in done.stdout
    assert "ok functions" in done.stdout
