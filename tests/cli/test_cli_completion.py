"""Shell completion, in a real bash."""

import pytest
from terminal import Milepost

# What Tab does in bash: the words so far, the function, the answers; a line for each.
BEGIN = 'set -e; eval "$(milepost completion bash)"'
TAB = 'COMPREPLY=(); COMP_WORDS=(milepost {words}); COMP_CWORD={at}; _milepost_completion milepost; echo "${{COMPREPLY[*]}}"'


def complete(milepost: Milepost, *tabs: list[str], **settings: str) -> list[str]:
    lines = [TAB.format(words=" ".join(f"'{word}'" for word in words), at=len(words)) for words in tabs]
    done = milepost.shell("\n".join([BEGIN, *lines]), **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_it_completes_commands_options_states_and_jobs(milepost: Milepost, job: str) -> None:
    answers = complete(
        milepost,
        ["pri"],
        ["watch", "--j"],
        ["ls", "--state", "cancel"],
        ["show", "im"],
        ["watch", job, ""],
        ["show", "x"],
    )
    assert answers == ["priority", "--json", "canceling canceled", job, "", ""]


@pytest.mark.parametrize(
    "settings", [{"MILEPOST_URL": "http://127.0.0.1:9"}, {"MILEPOST_URL": ""}, {"MILEPOST_KEY": "mp_x"}]
)
def test_without_a_server_it_is_silent(milepost: Milepost, settings: dict[str, str]) -> None:
    assert complete(milepost, ["show", ""], ["pri"], **settings) == ["", "priority"]


@pytest.mark.parametrize(
    ("shell", "mark"), [("zsh", "#compdef milepost"), ("fish", "complete --no-files --command milepost")]
)
def test_other_shells_have_their_script(milepost: Milepost, shell: str, mark: str) -> None:
    done = milepost("completion", shell)
    assert (done.returncode, done.stderr, mark in done.stdout) == (0, "", True)


def test_another_shell_is_refused(milepost: Milepost) -> None:
    assert milepost("completion", "tcsh").returncode == 2
