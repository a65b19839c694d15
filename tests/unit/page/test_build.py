"""`hozon.report`: one page that needs nothing beside it, and in which nothing of a file is code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.cli import main
from hozon.page.build import SAID_BY_SCRIPT, SCRIPTS
from hozon.page.words import WORDS

pytest.importorskip("jinja2", reason="this environment is older than the dependency")


class Page(HTMLParser):
    """What is on a page; raises where elements are not nested."""

    VOID = frozenset({"meta", "input", "br", "link", "path", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.summaries: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given[k] or "" for k in ("href", "src", "action") if k in given]
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "summary":
            self.summaries.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if "summary" in self.open:
            self.summaries[-1] += data


def build() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, name="deep")], name="nested")
    y = inner(keras.layers.Dense(5, name="first")(x))
    y = keras.layers.Concatenate(name="joined")([y, keras.layers.Dense(2, name="beside")(x)])
    made = keras.Model(x, keras.layers.Dense(1, name="last")(y), name="net")
    made.compile("adam", "mse")
    return made


def data_of(text: str) -> dict[str, Any]:
    """What the script of a page is given."""
    told: dict[str, Any] = json.loads(
        text.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    )
    return told


FORMS = ("m", "m.h5", "m.keras", "c", "w.safetensors", "m.json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, model = tmp_path_factory.mktemp("pages"), build()
    for name in FORMS[:3]:
        hozon.save_model(model, folder / name)
    hozon.save_weights(model, folder / "c")
    hozon.save_weights(model, folder / "w.safetensors")
    hozon.convert(folder / "m.keras", folder / "m.json")
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_a_page_of_any_form(form: str, saved: Path) -> None:
    text = hozon.report(saved / form)
    page = Page(text)
    assert {"overview", "checks"} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    known = r"http://localhost:8501\S*|http://www.w3.org/2000/svg|http-equiv"  # none is asked for
    assert "http" not in re.sub(known, "", text)
    assert not {"img", "iframe", "link", "object", "base"} & set(page.tags)
    assert (page.tags.count("script"), page.tags.count("style")) == (2, 1)  # one is data
    assert ("calls" in page.ids) == (form in ("m", "m.h5", "m.keras"))
    assert ("tensors" in page.ids) == (form != "m.json")


def test_the_architecture_folds_and_is_drawn(saved: Path) -> None:
    page = Page(hozon.report(saved / "m.keras"))
    for name in ("net", "first", "nested", "deep", "joined", "last"):
        assert any(summary.startswith(name) for summary in page.summaries), name
    parameters = sum(int(np.prod(w.shape)) for w in build().weights)
    assert any(s.startswith("net") and s.endswith(f"{parameters:,}") for s in page.summaries)
    pictured = data_of(hozon.report(saved / "m.keras"))["pictures"]
    (model,) = (picture["nodes"] for picture in pictured)
    assert [node[0] for node in model] == ["x", "first", "nested", "beside", "joined", "last"]
    assert [node[0] for node in model[2][3]["inside"]][-1] == "deep"


def test_values_are_told(saved: Path, tmp_path: Path) -> None:
    held = np.asarray(hozon.tensors(saved / "m.keras")["layers/dense/vars/0"])
    text = hozon.report(saved / "m.keras")
    row = text.partition("<td>layers/dense/vars/0</td>")[2].partition("</tr>")[0]
    values = [float(v) for v in re.findall(r'data-value="([^"]+)"', row)]
    assert values[0] == held.size
    assert values[1] == held.nbytes
    least, most, mean, deviation, zeros = values[2:]
    assert (least, most) == (held.min(), held.max())
    assert mean == pytest.approx(held.mean(), abs=1e-7)
    assert deviation == pytest.approx(held.std(), rel=1e-5)
    assert zeros == 0
    assert "<path d=" in row


def test_what_is_in_a_file_is_never_code(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    layer = keras.layers.Dense(1, name="evil'&<b>")
    model = keras.Sequential([keras.Input((2,)), layer])
    hozon.save_model(model, tmp_path / "m.keras")
    text = hozon.report(tmp_path / "m.keras")
    assert "evil'&<b>" not in text
    assert "evil&#39;&amp;&lt;b&gt;" in text
    from hozon.formats.safetensors import write_safetensors
    from hozon.stored.lazy import lazy_array

    path = tmp_path / "w.safetensors"
    write_safetensors(str(path), {evil: lazy_array(evil, np.ones(2))}, {"producer": evil})
    text = hozon.report(path)
    assert evil not in text
    assert text.count("<script>") == 1
    Page(text)


def test_its_own_code_alone_may_run(saved: Path) -> None:
    text = hozon.report(saved / "m.keras")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    import base64
    import hashlib

    for tag in ("script", "style"):
        inside = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert " style=" not in text
    assert not re.search(r"\son[a-z]+=", text)


def test_warnings(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d")])
    model.layers[0].kernel.assign([[np.nan], [1.0]])
    model.save(tmp_path / "m.h5")  # as Keras writes it; what Hozon writes holds a checksum
    text = hozon.report(tmp_path / "m.h5")
    told = text.partition('id="warnings"')[2].partition("</section>")[0]
    assert "HDF5 files have no checksum" in told
    assert "d/kernel" in told
    hozon.save_model(model, tmp_path / "own.h5")
    assert "no checksum" not in hozon.report(tmp_path / "own.h5")
    config = json.loads(hozon.model_to_json(model))
    config["config"]["layers"].append(
        {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "code"}}
    )
    config["config"]["layers"].append(
        {"class_name": "Mine", "module": "mine", "registered_name": "P>Mine", "config": {}}
    )
    (tmp_path / "m.json").write_text(json.dumps(config))
    told = hozon.report(tmp_path / "m.json").partition('id="warnings"')[2]
    assert "a Lambda layer" in told
    assert "Mine" in told.partition("</section>")[0]


def test_the_difference_of_two(saved: Path, tmp_path: Path) -> None:
    model = build()
    model.get_layer("last").kernel.assign_add(np.ones((5, 1)))
    hozon.save_model(model, tmp_path / "after")
    text = hozon.report(saved / "m.keras", tmp_path / "d.html", other=tmp_path / "after")
    assert (tmp_path / "d.html").read_text() == text
    Page(text)
    assert "They differ." in text
    table = text.partition('id="tensors"')[2]
    assert "layers/dense_2/vars/0" in table.partition("</td>")[0]
    assert "Nothing differs." in hozon.report(saved / "m", other=saved / "m.h5")


def test_both_languages_say_all() -> None:
    assert all(len(texts) == 2 and all(texts) for texts in WORDS.values())
    templates = "".join(
        files("hozon.page").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.html", "artifact.html", "diff.html")
    )
    scripts = "".join(
        files("hozon.page").joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS
    )
    assert set(re.findall(r'\b(?:t|line)\("(\w+)"', scripts)) <= set(SAID_BY_SCRIPT)
    for key in re.findall(r't\("(\w+)"', templates):
        assert key in WORDS
    bare = re.sub(r"<[^>]*>|{[{%#].*?[}%#]}|\{%- macro.*?%\}", " ", templates)
    assert set(re.findall(r"[A-Za-z]{3,}", bare)) <= {"English"}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to read the script")
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_are_programs(name: str) -> None:
    subprocess.run(["node", "--check", str(files("hozon.page").joinpath(name))], check=True)


def test_a_thousand_layers(tmp_path: Path) -> None:
    layers = [{"class_name": "InputLayer", "config": {"name": "l0", "batch_shape": [None, 4]}}]
    layers += [
        {
            "class_name": "Dense",
            "config": {"name": f"l{i}", "units": 4, "activation": "relu"},
            "inbound_nodes": [[[f"l{i - 1}", 0, 0, {}]]],
        }
        for i in range(1, 1001)
    ]
    for layer in layers:
        layer["name"] = layer["config"]["name"]  # type: ignore[index]
    config = {"class_name": "Functional", "config": {"name": "deep", "layers": layers}}
    (tmp_path / "m.json").write_text(json.dumps(config))
    assert len(hozon.report(tmp_path / "m.json")) < 2_000_000


LIGHT = """
import sys
import hozon
hozon.report(sys.argv[1], sys.argv[2])
print(*sorted({"jax", "keras"} & set(sys.modules)))
"""


def test_it_starts_neither_keras_nor_jax(saved: Path, tmp_path: Path) -> None:
    arguments = [str(saved / "m"), str(tmp_path / "p.html")]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert (tmp_path / "p.html").stat().st_size > 10_000


def test_the_command(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "p.html")
    assert main(["report", str(saved / "m.keras"), "-o", target]) == 0
    assert capsys.readouterr().out.strip() == target
    assert main(["report", str(saved / "m.keras")]) == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")
    assert main(["report", str(saved / "m"), str(saved / "c"), "-o", target, "-q"]) == 0
    assert "Nothing differs." in Path(target).read_text()
    assert main(["report", str(saved / "nothing"), "-o", target]) == 1
