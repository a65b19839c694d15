"""The two languages of the user guide say the same: pages, headings, tables, links and code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, JAPANESE = DOCS / "en", DOCS / "ja"
PAGES = sorted(path.name for path in ENGLISH.glob("*.md"))
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
KANA = re.compile("[ぁ-んァ-ヶ]")


def read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    return FENCED.sub("", text)


def shape(text: str) -> dict[str, list[str]]:
    """What does not depend on the language."""
    lines = prose(text).splitlines()
    return {
        "headings": [line.split(" ")[0] for line in lines if line.startswith("#")],
        "tables": [str(line.count("|")) for line in lines if line.startswith("|")],
        "objects": [line for line in lines if line.startswith(":::")],
        "links": re.findall(r"\]\(([^)]+)\)", prose(text)),
    }


def test_both_have_the_same_pages() -> None:
    assert len(PAGES) > 10
    assert sorted(path.name for path in JAPANESE.glob("*.md")) == PAGES


def test_every_page_is_in_the_site() -> None:
    listed = re.findall(r"^ +- ([\w-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.M)
    assert sorted(listed) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_the_same_shape_and_code(name: str) -> None:
    english, japanese = read(ENGLISH, name), read(JAPANESE, name)
    assert shape(japanese) == shape(english)
    assert FENCED.findall(japanese) == FENCED.findall(english)
    assert KANA.search(prose(japanese))
    assert not KANA.search(prose(english))
