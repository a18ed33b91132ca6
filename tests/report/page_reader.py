"""A page of HTML as tests look at it."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

WRITTEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
VOID = {"meta", "img", "br", "wbr", "hr", "link", "input"}


class Page(HTMLParser):
    """What a page refers to, its text, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self._open: list[str] = []
        self._goes_on = False
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        self._goes_on = tag == "wbr"  # a line may end there, no word does
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(self.words.pop() + data if self._goes_on else data)
        self._goes_on = False

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())
