"""What a new instance imports, beside two packages that it cannot do without: `python -m benchmarks.cold_start`.

In a virtual environment with the packages of api/requirements.txt alone, as on Vercel, compiled beforehand. CPU time and
the time on the clock, the least of ten runs in turn.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from milepost.local import CHECKOUT

STATEMENTS = {
    "import httpx, pydantic": "import httpx, pydantic",
    "import httpx, pydantic, werkzeug": "import httpx, pydantic, werkzeug.wrappers; from pydantic import BaseModel",
    "the functions": "import functions.wsgi",
    "the functions, and the first checkpoint's models": (
        "import functions.wsgi; from milepost.models import many_checkpoints as m; m.validate_python([{'job': 'a'}])"
    ),
}
TIMED = """
import time
cpu, clock = time.process_time(), time.perf_counter()
{}
print((time.process_time() - cpu) * 1000, (time.perf_counter() - clock) * 1000)
"""
RUNS = 10


def main() -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/venv/bin/python"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, f"{folder}/venv"], check=True)
        install = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            python,
            "-r",
            "api/requirements.txt",
        ]
        subprocess.run(install, check=True, cwd=CHECKOUT)
        subprocess.run([python, "-m", "compileall", "-q", "functions", "milepost"], check=True, cwd=CHECKOUT)
        least = {name: [float("inf"), float("inf")] for name in STATEMENTS}
        for _ in range(RUNS):
            for name, statement in STATEMENTS.items():
                command = [python, "-c", TIMED.format(statement)]
                done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT)
                found = [float(figure) for figure in done.stdout.split()]
                least[name] = [min(pair) for pair in zip(least[name], found, strict=True)]
    base = least["import httpx, pydantic"][0]
    print("| what | CPU ms | clock ms | CPU beside the first |\n| --- | --- | --- | --- |")
    for name, (cpu, clock) in least.items():
        print(f"| {name} | {cpu:.0f} | {clock:.0f} | {cpu / base:.2f} |")


if __name__ == "__main__":
    main()
