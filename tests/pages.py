"""A page as a test reads it: what it is made of, and the rules of WCAG 2.2 that its source alone can keep or break."""

from __future__ import annotations

import itertools
from html.parser import HTMLParser

VOID = {"meta", "br", "wbr", "link", "img", "hr", "input"}
Attributes = dict[str, str]


class Page(HTMLParser):
    """Checks that elements close in order; collects elements, what is loaded, and the cells of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, Attributes, tuple[str, ...]]] = []  # name, attributes, what it stands in
        self.tables: list[list[list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found, tuple(self.open)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[Attributes]:
        """The attributes of every element of that name, in order."""
        return [found for name, found, _ in self.elements if name == tag]

    @property
    def loads(self) -> list[str]:
        """What a browser would fetch for this page."""
        fetched = {"link", "img", "iframe", "object", "embed"}
        outside = [name for name, found, _ in self.elements if name in fetched or "src" in found]
        pictures = [found.get("xlink:href", found.get("href", "")) for found in self.all("image")]
        return outside + [target for target in pictures if not target.startswith("data:")]

    def check(self) -> None:
        """Asserts what can be told without a browser; `tests/reporting/test_accessibility.py` has the rest."""
        ids = [found["id"] for _, found, _ in self.elements if "id" in found]
        assert len(set(ids)) == len(ids)
        assert self.all("html")[0]["lang"] == "en"
        assert [len(self.all(tag)) for tag in ("title", "h1", "header", "main")] == [1] * 4
        (skip, *_), (main,) = self.all("a"), self.all("main")
        assert skip["href"] == f"#{main['id']}"
        assert {found["href"].removeprefix("#") for found in self.all("a")} <= set(ids)
        named = " ".join(found.get("aria-labelledby", "") for _, found, _ in self.elements)
        assert set(named.split()) <= set(ids)
        levels = [int(name[1]) for name, _, _ in self.elements if name in {"h1", "h2", "h3", "h4"}]
        assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
        assert all(found.get("scope") in {"row", "col"} for found in self.all("th"))
        assert all(found.get("aria-labelledby") for found in self.all("table"))
        assert all(table[0] and all(cell.strip() for cell in table[0]) for table in self.tables)
        pictures = [found for _, found, _ in self.elements if found.get("role") == "img"]
        drawn = [inside for name, _, inside in self.elements if name == "svg"]
        assert len(pictures) == len(drawn) and all("figure" in inside for inside in drawn)
        assert all(len(found["aria-label"].split()) > 5 for found in pictures), "a figure says what is seen in it"
        assert all(int(found.get("tabindex", "0")) <= 0 for _, found, _ in self.elements)
