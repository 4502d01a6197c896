"""The blocks of docs/guides: page -> name -> (language, code)."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)(?: ([\w-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PAGES: dict[str, dict[str, tuple[str, str]]] = {
    page.stem: {name: (language, code) for language, name, code in _BLOCK.findall(page.read_text())}
    for page in sorted((ROOT / "docs/guides").glob("*.md"))
}
