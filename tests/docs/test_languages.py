"""The two languages of the user guide say the same: pages, headings, tables, links and code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
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


def code(text: str) -> list[str]:
    """The blocks, without comments, which are in the language of the page."""
    return [re.sub(r"  # .*$", "", block, flags=re.M) for block in FENCED.findall(text)]


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
    assert code(japanese) == code(english)
    assert KANA.search(prose(japanese))
    assert not KANA.search(prose(english))


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=str)
def test_hozon_comes_before_keras(page: Path) -> None:
    """It chooses JAX where nobody chose a backend, before Keras takes another."""
    python = "".join(re.findall(r"^```python$(.*?)^```$", page.read_text("utf-8"), re.M | re.S))
    first = re.search(r"^(?:import|from) (hozon|keras)\b", python, re.M)
    assert first is None or first[1] == "hozon"


@pytest.mark.parametrize("name", PAGES)
def test_words_in_code_are_of_the_language(name: str) -> None:
    """Comments that show what is printed are the same in both."""
    blocks = (FENCED.findall(read(folder, name)) for folder in (JAPANESE, ENGLISH))
    for mine, theirs in zip(*blocks, strict=True):
        comments = re.findall(r"  # (.*)$", mine, re.M)
        others = re.findall(r"  # (.*)$", theirs, re.M)
        printed = [c for c, o in zip(comments, others, strict=True) if c == o]
        assert all(re.search(r"[:<>]|\.\.\.", comment) for comment in printed), printed
