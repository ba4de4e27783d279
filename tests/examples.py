"""The commands that the documents tell users to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PAGES = [*sorted(Path(__file__).parents[1].glob("docs/**/*.md")), Path(__file__).parents[1] / "README.md"]
START = "tandem agents start "


@dataclass(frozen=True)
class Example:
    """``waits`` where the run ends without anybody's doing."""

    agent: str
    tenant: str
    input: str
    waits: bool


def examples() -> set[Example]:
    """Every ``tandem agents start`` in a code block."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return {_example(shlex.split(line, comments=True)) for line in lines if line.startswith(START)}


def _example(words: list[str]) -> Example:
    def option(name: str, otherwise: str) -> str:
        return words[words.index(name) + 1] if name in words else otherwise

    return Example(words[3], option("--tenant", ""), option("--input", "{}"), "--wait" in words)
