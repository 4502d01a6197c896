"""`milepost dev` from the command line."""

import json
import signal
import subprocess
from pathlib import Path

import httpx
from terminal import PROGRAM


def test_dev_says_where_everything_is_and_stops_when_told() -> None:
    with subprocess.Popen(
        [*PROGRAM, "dev", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        access = json.loads(process.stdout.readline())
        assert httpx.get(access["api_url"] + "/health").json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not Path(access["env_file"]).exists()
