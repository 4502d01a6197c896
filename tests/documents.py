"""The fenced blocks of a Markdown page, and running them.

A block has a language and a name: ```sh resume. A test takes it by that name, so that the page's text is
what runs. tests/contracts/test_documents.py demands that every block is taken by some test, or says why not.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from running_stack import RunningStack, Tenant

ROOT = Path(__file__).resolve().parent.parent

PROGRAMS = {
    "sh": ["bash", "-euo", "pipefail", "-s"],
    "bash": ["bash", "-euo", "pipefail", "-s"],
    "python": [sys.executable, "-u", "-"],
    "js": ["node", "--input-type=module", "-"],
}

_FENCE = re.compile(r"^( *)```([\w-]*)(?: +([\w-]+))?[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block."""

    line: int
    language: str
    name: str
    code: str
    before: str
    """The last line of text before it."""


def blocks(page: str | Path) -> list[Block]:
    """All fenced blocks of a page, which is named from the project's root."""
    text = (ROOT / page).read_text()
    return [
        Block(
            text.count("\n", 0, found.start()) + 1,
            found[2],
            found[3] or "",
            re.sub(rf"^{found[1]}", "", found[4], flags=re.MULTILINE),
            text[: found.start()].rstrip().rpartition("\n")[2],
        )
        for found in _FENCE.finditer(text)
    ]


def named(page: str | Path) -> dict[str, Block]:
    """The blocks of a page that have a name."""
    return {block.name: block for block in blocks(page) if block.name}


def settings(stack: RunningStack, tenant: Tenant, **others: str) -> dict[str, str]:
    """The environment that pages tell their readers to have, with a key of scope operator."""
    return os.environ | {
        "MILEPOST_URL": stack.api_url,
        "MILEPOST_KEY": tenant.operator_key,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "USER_JWT": tenant.owner.jwt,
        "TENANT_ID": tenant.tenant_id,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **others,
    }


def run(
    block: Block, environment: Mapping[str, str], cwd: Path = ROOT, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs a block as its reader would, and returns what came of it."""
    return subprocess.run(
        PROGRAMS[block.language],
        input=block.code,
        env=dict(environment),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
