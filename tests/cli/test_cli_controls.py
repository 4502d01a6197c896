"""What a job says of itself is text on a terminal: it moves no cursor, names no window and colours nothing."""

import httpx
import pytest
from running_stack import RunningStack, Tenant
from terminal import Milepost

# It would clear the screen, name the window, write to the clipboard, and colour (in 8 bits, too).
MISCHIEF = "\x1b[2J\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[31mred\x9b31m\x9d0;owned\x9c\x08\x08\rno \x7f"
LEFT = "[2J]0;owned]52;c;b3duZWQ=[31mred31m0;ownedno"


@pytest.fixture
def mischief(stack: RunningStack, tenant: Tenant) -> str:
    """A job that failed, with mischief wherever a text may have control characters."""
    said = {
        "job": "import",
        "message": MISCHIEF,
        "state": "failed",
        "reason": MISCHIEF,
        "items": [{"key": "a", "state": "failed", "error": MISCHIEF}],
        "metadata": {MISCHIEF: MISCHIEF},
        "cursor": {MISCHIEF: MISCHIEF},
    }
    made = {"job": "import", "max_attempts": 1, "metadata": {MISCHIEF: MISCHIEF}}
    headers = {"Authorization": f"Bearer {tenant.worker_key}"}
    for path, body in (("/v1/jobs", made), ("/v1/checkpoints", said)):
        response = httpx.post(stack.api_url + path, json=body, headers=headers, trust_env=False)
        assert response.is_success, response.text
    return "import"


@pytest.mark.parametrize(
    "command",
    [
        ["show", "import"],
        ["ls"],
        ["explain", "import"],
        ["history"],
        ["history", "--by", "kind"],
        ["watch", "import"],
    ],
    ids=" ".join,
)
def test_no_control_character_of_a_job_reaches_the_terminal(
    milepost: Milepost, mischief: str, command: list[str]
) -> None:
    with milepost.on_terminal(*command) as terminal:
        terminal.ends()
    assert "\x1b[2J" not in terminal.seen
    for control in ("\x07", "\x08", "\x1b]", "\x9b", "\x9d", "\x7f"):
        assert control not in terminal.seen, repr(terminal.seen)


def test_what_is_left_of_it_is_shown(milepost: Milepost, mischief: str) -> None:
    assert LEFT in milepost("show", mischief).stdout


@pytest.mark.parametrize("command", [["show", "import"], ["history"], ["ls"]], ids=" ".join)
def test_json_has_them_escaped(milepost: Milepost, mischief: str, command: list[str]) -> None:
    done = milepost(*command, "--json")
    assert "owned" in done.stdout
    assert done.stdout.strip("\n").isprintable(), done.stdout


def test_an_errors_own_words_are_plain_too(milepost: Milepost) -> None:
    done = milepost("show", "a\x1b]0;owned\x07b")
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
