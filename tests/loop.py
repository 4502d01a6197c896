"""A worker's loop in a process of its own, which does what it is told on stdin and tells what came of it.

item: does the next item; flush: waits for delivery; hang: hangs while its heartbeat goes on;
jump N: its clock jumps so many seconds; files N: no file may be longer than so many bytes from here on;
devour: takes more memory than there is; hurry: waits for nobody at its end; end: leaves the loop.
Each item that is done is a line in the file `done`, as an outside effect would be.
"""

import json
import resource
import sys
import threading
import time
from pathlib import Path

facts = json.loads(sys.argv[1])
clock = time.time
time.time = lambda: clock() + facts["skew_s"]

import milepost  # noqa: E402 - after the clock is off
import milepost._job  # noqa: E402
import milepost._sender  # noqa: E402

milepost._sender.CONTACT_S = 0.2
# What is waited for comes, however busy the machine is.
milepost._job.START_WAIT_S = facts["patience_s"]  # type: ignore[attr-defined]
milepost._sender.EXIT_WAIT_S = 60.0


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def loop(job: milepost.Job) -> None:
    counts = job.stage("load", facts["items"]) if facts["in_stage"] else job
    offset = job.cursor["offset"] if job.cursor else 0
    say(f"begins at {offset} in attempt {job.attempt}")
    for order in sys.stdin:
        match order.split():
            case ["item"]:
                with Path(facts["done"]).open("a") as done:
                    done.write(f"{offset}\n")
                offset += 1
                if facts["named"]:
                    job.item(f"item {offset}", "completed")
                counts.advance(1, cursor={"offset": offset})
                say(f"did {offset}")
            case ["flush"]:
                say(f"flushed {job.flush(30)}")
            case ["hang"]:
                say("hangs")
                threading.Event().wait()
            case ["jump", seconds]:
                facts["skew_s"] += float(seconds)
            case ["files", longest]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(longest), int(longest)))
            case ["hurry"]:
                milepost._sender.EXIT_WAIT_S = 0.1
            case ["devour"]:
                taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                resource.setrlimit(resource.RLIMIT_DATA, (2 * taken, 2 * taken))
                bytearray(4 * taken)
            case ["end"]:
                return


def claimed() -> milepost.Job:
    # While a checkpoint of the old worker is looked at, its job's row is locked and nobody's to claim.
    while (found := milepost.claim([facts["kind"]])) is None:
        time.sleep(0.05)
    return found


job = claimed() if facts["claims"] else milepost.job(facts["job"], **facts["fields"])
try:
    with job:
        try:
            loop(job)
        finally:
            say("cleans up")
except milepost.JobStopped as stopped:
    say(type(stopped).__name__)
except MemoryError:
    say("MemoryError")
say("left")
