"""How a tool hands a long text to a model: page by page. Pure."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

PAGE: Final = 16_000
"""Characters of a page; the tools' descriptions say so."""


class ReadPage(BaseModel):
    """The arguments of such a tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offset: int = Field(default=0, ge=0, description="Where to go on: the next_offset of the page before")


def page(text: str, asked: ReadPage) -> dict[str, Any]:
    """``{"text", "next_offset"}``, the latter None on the last page."""
    end = asked.offset + PAGE
    return {"text": text[asked.offset : end], "next_offset": end if end < len(text) else None}
