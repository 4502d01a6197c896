"""milepost.js as a package of npm and as a plain file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from built import ROOT, run

from functions.openapi import _document

TYPES = (ROOT / "public/milepost.d.ts").read_text()
USER = """
import { createClient } from "@supabase/supabase-js";
import { events, polling, realtime, watchJob, watchTenant, type Job, type State } from "milepost";

const client = createClient("http://127.0.0.1:9", "key");
const watch = watchJob(client, "id", {
  apiUrl: "http://127.0.0.1:9",
  transports: [realtime(client), events(client, "http://127.0.0.1:9"), polling({ everyMs: 1000 })],
  onChange: (job: Job) => console.log(job.percent_complete?.toFixed(1), job.stages[0]?.name),
  onStatus: ({ state, via }) => console.log(state, via),
});
const state: State | undefined = watch.job?.state;
const list = watchTenant(client, "id", { filter: { state: ["running"] }, onChange: ({ changed }) => changed.map((id) => list.job(id)) });
list.close();
// @ts-expect-error no state of a job
const wrong: State = "finished";
// @ts-expect-error what may be unknown has to be looked at
const percent: number = list.jobs[0].percent_complete;
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the packed package is installed, beside supabase-js."""
    folder = tmp_path_factory.mktemp("npm")
    packed = json.loads(run("npm", "pack", "--json", "--pack-destination", folder, ROOT / "public"))[0]
    assert {file["path"] for file in packed["files"]} == {
        "milepost.js",
        "milepost.d.ts",
        "package.json",
        "LICENSE",
    }
    assert (ROOT / "public/LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    (folder / "package.json").write_text('{"type": "module"}')
    # Supabase's client comes from the checkout: this needs no network.
    run("npm", "install", "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund", folder / packed["filename"], cwd=folder)  # fmt: skip
    (folder / "node_modules/@supabase").symlink_to(ROOT / "node_modules/@supabase")
    return folder


def test_it_is_imported_by_its_name(installed: Path) -> None:
    said = run("node", "--input-type=module", "-e", 'import * as m from "milepost"; console.log(Object.keys(m).sort().join())', cwd=installed)  # fmt: skip
    assert said.strip() == "events,polling,realtime,watchJob,watchTenant"
    assert set(said.strip().split(",")) == set(re.findall(r"^export function (\w+)", TYPES, re.MULTILINE))


def test_its_insides_are_nobody_s_business(installed: Path) -> None:
    tried = 'import("milepost/milepost.js").catch((error) => console.log(error.code))'
    assert run("node", "-e", tried, cwd=installed).strip() == "ERR_PACKAGE_PATH_NOT_EXPORTED"


def test_typescript_knows_its_types(installed: Path) -> None:
    (installed / "user.ts").write_text(USER)
    options = {
        "noEmit": True, "strict": True, "target": "es2022", "lib": ["es2022", "dom"], "module": "nodenext", "types": [],
        "skipLibCheck": True,
    }  # fmt: skip
    config = {"compilerOptions": options, "files": ["user.ts"]}
    (installed / "tsconfig.json").write_text(json.dumps(config))
    run("node", ROOT / "node_modules/typescript/bin/tsc", cwd=installed)


@pytest.mark.parametrize(("interface", "schema"), [("Job", "Job"), ("StageProgress", "StageProgress"), ("WorkerProgress", "WorkerProgress")])  # fmt: skip
def test_its_types_are_those_of_the_api(interface: str, schema: str) -> None:
    properties: dict[str, Any] = json.loads(_document())["components"]["schemas"][schema]["properties"]
    assert {name: " | ".join(sorted(spelled(name, fact))) for name, fact in properties.items()} == fields(
        interface
    )


def test_it_is_a_plain_file_that_needs_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "milepost.mjs").write_text((ROOT / "public/milepost.js").read_text())
    said = run("node", "--input-type=module", "-e", 'console.log(typeof (await import("./milepost.mjs")).watchJob)', cwd=tmp_path)  # fmt: skip
    assert said == "function\n"


def fields(interface: str) -> dict[str, str]:
    """Names and types of an interface's fields, with those that it extends."""
    found = re.search(rf"^export interface {interface}(?: extends (\w+))? {{\n(.*?)^}}", TYPES, re.M | re.S)
    assert found is not None, interface
    own = dict(re.findall(r"^  (\w+): (.+);$", found[2], re.MULTILINE))
    own = {name: " | ".join(sorted(resolved(kind).split(" | "))) for name, kind in own.items()}
    return (fields(found[1]) if found[1] else {}) | own


def resolved(kind: str) -> str:
    """The union that a name stands for."""
    for name, meaning in re.findall(r"^export type (\w+) =\s+(?:\| )?(.+?);$", TYPES, re.MULTILINE):
        if name != "Json":
            kind = re.sub(rf"\b{name}\b", meaning, kind)
    return kind


def spelled(name: str, fact: dict[str, Any]) -> set[str]:
    """A JSON schema as TypeScript writes it."""
    if "anyOf" in fact:
        return {kind for part in fact["anyOf"] for kind in spelled(name, part)}
    if "enum" in fact:
        return {f'"{value}"' for value in fact["enum"]}
    match fact.get("type"):
        case "array":
            return {fact["items"]["$ref"].rpartition("/")[2] + "[]"}
        case "object":
            return {"{ [worker: string]: Json }" if name == "cursors" else "{ [name: string]: Json }"}
        case "integer" | "number":
            return {"number"}
        case None:
            return {"Json"}
        case other:
            return {str(other)}
