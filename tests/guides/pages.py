"""The blocks of docs/guides: page -> name -> (language, code)."""

from documents import ROOT, blocks

PAGES: dict[str, dict[str, tuple[str, str]]] = {
    page.stem: {block.name: (block.language, block.code) for block in blocks(page)}
    for page in sorted((ROOT / "docs/guides").glob("*.md"))
}
