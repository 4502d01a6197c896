"""Runs `milepost ...` as a person would."""

import os
import subprocess
import sys
from collections.abc import Mapping

PROGRAM = [sys.executable, "-c", "from milepost.cli import main; main(prog_name='milepost')"]


class Milepost:
    """The command line with these settings; a call may add to them."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.settings | more
        return subprocess.run(
            [*PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
