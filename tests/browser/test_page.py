"""Pages of `hozon.report` in a real browser: what people see, click and type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

import hozon
from tests.browser.client import Browser, browser

ENGLISH, JAPANESE = {"locale": "en-US"}, {"locale": "ja-JP", "colorScheme": "dark"}


def build(units: int, *, more: bool = False) -> keras.Model:
    keras.utils.set_random_seed(units)
    x = keras.Input((8,), name="x")
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, name="deep")], name="nested")
    y = inner(keras.layers.Dense(5, name="first")(x))
    y = keras.layers.Concatenate(name="joined")([y, keras.layers.Dense(2, name="beside")(x)])
    y = keras.layers.Dropout(0.5, name="extra")(y) if more else y
    made = keras.Model(x, keras.layers.Dense(units, name="last")(y), name="net")
    made.compile("adam", "mse")
    return made


def deep() -> str:
    """The config of a thousand layers."""
    layers = [{"class_name": "InputLayer", "config": {"name": "l0", "batch_shape": [None, 4]}}]
    layers += [
        {
            "class_name": "Dense",
            "config": {"name": f"l{i}", "units": 4},
            "inbound_nodes": [[[f"l{i - 1}", 0, 0, {}]]],
        }
        for i in range(1, 1000)
    ]
    for layer in layers:
        layer["name"] = layer["config"]["name"]  # type: ignore[index]
    return json.dumps({"class_name": "Functional", "config": {"name": "deep", "layers": layers}})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    hozon.save_model(build(1), folder / "net")
    hozon.save_model(build(1), folder / "before.keras")
    hozon.save_model(build(2, more=True), folder / "after.keras")
    (folder / "deep.json").write_text(deep())
    hozon.report(folder / "net", folder / "net.html")
    hozon.report(folder / "deep.json", folder / "deep.html")
    hozon.report(folder / "before.keras", folder / "diff.html", other=folder / "after.keras")
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture
def page(running: Browser, pages: Path) -> Iterator[Browser]:
    """A browser at the page of a SavedModel, which says nothing and asks for nothing else."""
    running("open", ENGLISH)
    running("goto", f"file://{pages}/net.html")
    yield running
    assert all(told.startswith(f"file://{pages}/") for told in running("told"))


def labels(page: Browser, selector: str = "#picture g.node") -> list[str]:
    found: list[str] = page.ask(
        f"[...document.querySelectorAll({selector!r})].map((e) => e.getAttribute('aria-label'))"
    )
    return found


def focused(page: Browser) -> str:
    return str(page.ask("document.activeElement.getAttribute('aria-label')"))


def column(page: Browser, number: int) -> list[str]:
    cells = f"#tensors tbody td:nth-child({number})"
    found: list[str] = page.ask(
        f"[...document.querySelectorAll({cells!r})].map((cell) => cell.textContent)"
    )
    return found


def test_all_parts_are_there(page: Browser) -> None:
    shown = page.ask("[...document.querySelectorAll('section')].map((s) => s.id)")
    expected = ["overview", "picture", "architecture", "calls", "tensors", "functions", "checks"]
    assert [name for name in shown if name != "warnings"] == expected
    links = page.ask("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))")
    assert links == shown
    assert page.ask("document.querySelector('h1').textContent") == "net"


def test_rows_are_sorted_and_filtered(page: Browser) -> None:
    everything = page.count("#tensors tbody tr")
    page("fill", "#tensors input", "layer_with_weights-1 kernel")
    assert page.count("#tensors tbody tr") == 1
    assert page.ask("document.querySelector('#tensors output').textContent") == f"1 / {everything}"
    page("fill", "#tensors input", "")
    page("click", "#tensors th:nth-child(4) button")
    sizes = [int(text.replace(",", "")) for text in column(page, 4)]
    assert sizes == sorted(sizes)
    page("click", "#tensors th:nth-child(4) button")
    assert [int(text.replace(",", "")) for text in column(page, 4)] == sorted(sizes, reverse=True)
    told = "document.querySelector('#tensors th:nth-child(4)').getAttribute('aria-sort')"
    assert page.ask(told) == "descending"
    assert page.count("#tensors tbody tr") == everything == len(sizes)


def test_a_histogram_is_drawn_when_asked_for(page: Browser) -> None:
    assert page.count("#tensors figure") == 0
    row = "#tensors tr:has(td:text('layer_with_weights-0/kernel'))"
    page("focus", f"{row} button.bins")
    page("keyboard.press", "Enter")
    assert page.count("#tensors figure rect") > 5
    drawn = page.ask(
        "[...document.querySelectorAll('#tensors figure title')]"
        ".reduce((n, t) => n + Number(t.textContent.split(': ')[1]), 0)"
    )
    assert drawn == 8 * 5  # every value of the kernel
    page("keyboard.press", "Enter")
    assert page.count("#tensors figure") == 0


def test_layers_are_folded_and_found(page: Browser) -> None:
    page("click", "#architecture [data-fold=close]")
    assert page.count("#architecture details[open]") == 0
    page("click", "#architecture [data-fold=open]")
    unfolded = page.count("#architecture pre")
    assert unfolded >= 8
    page("fill", "#architecture input", "deep")
    assert page.ask("document.querySelectorAll('#architecture details:not([hidden])').length") == 3
    page("fill", "#architecture input", "")
    page("click", "#architecture [data-fold=close]")
    page("goto", page.ask("location.href") + "#layer-4")  # a link into what is folded
    assert page.count("#layer-4") == 1


def test_the_picture_is_folded_and_zoomed(page: Browser) -> None:
    assert len(labels(page)) == 6
    page("click", "#picture g.node[aria-label^=nested]")
    assert [name for name in labels(page) if name.startswith("deep")] == ["deep, Dense"]
    assert page.ask("document.querySelector('.about').textContent").startswith("nested")
    page("click", "#picture [data-picture=close]")
    assert len(labels(page)) == 6
    wide = "Number(document.querySelector('.frame svg').getAttribute('width'))"
    before = page.ask(wide)
    page("click", "[data-picture=in]")
    assert page.ask(wide) == pytest.approx(before * 1.25)
    page("click", "[data-picture=out]")
    assert page.ask(wide) == pytest.approx(before)
    page("fill", "[data-find]", "concatenate")
    assert page.count("#picture g.node:not(.dim)") == 1


def test_the_picture_of_a_signature_unfolds_its_functions(page: Browser) -> None:
    page("selectOption", "#picture select", "1")
    names = labels(page)
    assert any("Placeholder" in name for name in names)
    assert sum("MatMul" in name for name in names) == 4  # what is alone is unfolded unasked
    page("click", "#picture [data-picture=close]")
    assert not any("MatMul" in name for name in labels(page))
    page("click", "#picture [data-picture=open]")
    assert sum("MatMul" in name for name in labels(page)) == 4


def test_all_of_it_by_keyboard(page: Browser) -> None:
    page("keyboard.press", "Tab")
    assert page.ask("document.activeElement.className") == "skip"
    page("focus", ".frame")
    for key, name in (
        ("ArrowDown", "x, InputLayer"),
        ("ArrowDown", "first, Dense"),
        ("ArrowRight", "beside, Dense"),
        ("ArrowLeft", "first, Dense"),
        ("ArrowDown", "nested, Sequential"),
        ("Enter", "nested, Sequential"),
    ):
        page("keyboard.press", key)
        assert focused(page) == name
    assert "deep, Dense" in labels(page)
    page("keyboard.press", "ArrowUp")
    assert focused(page) == "first, Dense"
    assert "units = 5" in page.ask("document.querySelector('.about').textContent")
    wide = "Number(document.querySelector('.frame svg').getAttribute('width'))"
    before = page.ask(wide)
    page("keyboard.press", "-")
    assert page.ask(wide) == pytest.approx(before * 0.8)
    page("evaluate", "document.activeElement.blur()")
    page("keyboard.press", "/")
    assert page.ask("document.activeElement.type") == "search"


def test_two_languages_light_and_dark(running: Browser, pages: Path) -> None:
    heading = "getComputedStyle(document.querySelector('#tensors h2 [data-lang=ja]')).display"
    back = "getComputedStyle(document.body).backgroundColor"
    running("open", JAPANESE)
    running("goto", f"file://{pages}/net.html")
    assert running.ask("document.documentElement.lang") == "ja"
    assert running.ask(heading) == "inline"
    dark = running.ask(back)
    running("click", "[data-dark]")
    light = running.ask(back)
    assert sum(map(int, light[4:-1].split(","))) > 600 > sum(map(int, dark[4:-1].split(",")))
    running("click", "[data-set-lang=en]")
    assert running.ask(heading) == "none"
    assert running("told") == [f"file://{pages}/net.html"]


def test_calls_are_copied(page: Browser) -> None:
    texts = page.ask("[...document.querySelectorAll('#calls pre')].map((e) => e.textContent)")
    assert any("signatures['serving_default']" in text for text in texts)
    assert any("curl" in text for text in texts)
    page("click", "#calls [data-copy]")
    assert page.ask("getSelection().toString()").startswith("import hozon")


def test_what_changed_side_by_side(running: Browser, pages: Path) -> None:
    running("open", ENGLISH)
    running("goto", f"file://{pages}/diff.html")
    first, second = (labels(running, f".columns > :nth-child({n}) g.node") for n in (1, 2))
    assert "extra, Dropout, added_mark" in second
    assert not any(name.startswith("extra") for name in first)
    assert "last, Dense, changed_mark" in first
    marks = running.ask(
        "[...document.querySelectorAll('#architecture tbody tr')].map((row) => row.className)"
    )
    assert marks.count("added_mark") == 1
    assert marks.count("changed_mark") >= 1
    running("click", "#tensors button.bins")
    assert running.count("#tensors figure") == 2
    assert running("told") == [f"file://{pages}/diff.html"]


def test_a_thousand_layers_are_drawn(running: Browser, pages: Path) -> None:
    running("open", ENGLISH)
    running("goto", f"file://{pages}/deep.html")
    assert running.count("#picture g.node") == 1000
    assert running.ask("document.querySelectorAll('*').length") < 20_000
    running("fill", "[data-find]", "l777")
    running("focus", "[data-find]")
    running("keyboard.press", "Enter")
    assert running.ask("document.querySelector('.about h3').textContent") == "l777"
    assert running("told") == [f"file://{pages}/deep.html"]
