"""The site, from records made by hand: complete, closed in itself, escaped, stable, honest about damage."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import xarray as xr

from neuromanifold._base import FileError
from neuromanifold.evidence import Claim, read_record, write_record
from neuromanifold.experiments import registry
from neuromanifold.report import (
    EquationError,
    build_site,
    citation,
    citation_text,
    claim_row,
    mathml,
    read_entries,
    record_csv,
    tally,
    undecided_row,
)


class Page(HTMLParser):
    """Links, headings, text and the balance of the tags of a page."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.links += [
            value for name in ("href", "src", "srcset", "action", "data") if (value := attributes.get(name))
        ]
        if (name := attributes.get("id")) is not None:
            self.ids.append(name)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def test_every_link_is_relative_and_exists(folder):
    assert build_site(folder) == folder / "index.html"
    assert len(pages(folder)) > 3
    for path in pages(folder):
        for link in page(path).links:
            if link == "data:,":
                continue
            assert not re.match(r"[a-z]+:|//|/", link)
            file, _, anchor = link.partition("#")
            target = path.parent / unquote(file) if file else path
            assert target.is_file(), link
            assert not anchor or anchor in page(target).ids


def test_no_page_asks_for_anything_elsewhere(folder):
    build_site(folder)
    for path in pages(folder):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert not re.search(r"@import|url\(", text)
        assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/1998/Math/MathML"}
        assert "default-src 'none'" in text


def test_every_page_is_well_made(folder):
    build_site(folder)
    for path in pages(folder):
        seen = page(path)
        [root] = seen.all("html")
        assert root["lang"] == "en"
        assert len(seen.all("title")) == len(seen.all("h1")) == len(seen.all("main")) == 1
        metas = {meta.get("name"): meta.get("content") for meta in seen.all("meta")}
        assert metas["description"]
        assert metas["viewport"] == "width=device-width, initial-scale=1"
        levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h[1-6]", tag)]
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        assert all(image["alt"] for image in seen.all("img"))
        assert len(seen.ids) == len(set(seen.ids))
        named = [value for _, attributes in seen.tags if (value := attributes.get("aria-labelledby"))]
        assert set(named) <= set(seen.ids)
        assert all(head.get("scope") for head in seen.all("th"))


def test_the_index_tells_everything(folder):
    build_site(folder)
    seen = page(folder / "index.html")
    words = " ".join(seen.words.split())
    assert "5 claims hold, 1 does not, 1 could not be decided" in words
    for part in (
        "Topic: memory",
        "Topic: signals",
        "Lecture A: Amari 2016",
        "Lecture B",
        "Lecture C",
        "Lecture D",
        "all 4 claims hold",
        "1 of 2 does not hold",
        "undecided",
        "0.99830 ± 0.00040",
        "≥ 0.95",
        "no event",
        "differs by 0.088, allowed 0.002",
        "too few samples: 3 of 300.",
    ):
        assert part in words
    assert len([image for image in seen.all("img") if image["src"] == "recall-overlap/figure.svg"]) == 3


def test_a_lecture_shows_its_own_claims(folder):
    text = build_site(folder).read_text(encoding="utf-8")
    section = text.partition('aria-labelledby="lecture-A"')[2].partition("</section>")[0]
    assert "the memory is kept" in section
    assert "raise the energy" not in section
    whole = text.partition('aria-labelledby="lecture-C"')[2].partition("</section>")[0]
    assert "the memory is kept" in whole
    assert "raise the energy" in whole


def test_the_page_of_an_experiment_tells_everything(folder):
    build_site(folder)
    seen = page(folder / "recall-overlap" / "index.html")
    words = " ".join(seen.words.split())
    record = read_record(folder / "recall-overlap" / "record.nc")
    for part in (
        record.attrs["command"],
        "Shun-ichi Amari. Learning patterns",
        "jax0.10.2",
        "seed3",
        "n_units",
        "number of units N",
        "≥ 2",
        "0 to 0.2",
        "patterns per unit",
        "parallel, one",
        "Patterns are stored",
        "5 standard errors of 0.0004 + 0.001 for finite size",
        "the line is the theory",
    ):
        assert part in words
    assert {"record.nc", "record.csv", "claims.json", "figure.svg", "../index.html"} <= set(seen.links)
    assert [image["alt"] for image in seen.all("img")] == [json.loads(record.attrs["card"])["caption"]]
    assert [formula["display"] for formula in seen.all("math")] == ["block", "block"]


def test_text_of_records_is_escaped(folder, experiments):
    experiments.write(
        folder,
        {
            "name": "hostile",
            "title": '"><script>alert(1)</script>',
            "topic": "<i>x</i> y/ü",
            "idea": "</p><script>",
            "caption": '" onload="alert(1)',
            "sources": ["<b>no</b>"],
        },
        [experiments.bad()],
        seed=4,
    )
    build_site(folder)
    for path in pages(folder):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<i>x" not in text
        assert "<b>n" not in text
        assert all(set(image) <= {"src", "alt", "loading"} for image in page(path).all("img"))


def test_odd_names_of_folders_make_good_links(folder):
    (folder / "recall-overlap").rename(folder / "a b#c%20?<ü>")
    build_site(folder)
    test_every_link_is_relative_and_exists(folder)


def test_the_same_records_give_the_same_bytes(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy" / "elsewhere")
    build_site(folder)
    first = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    build_site(folder)
    other = build_site(tmp_path / "copy" / "elsewhere").parent
    for name, content in first.items():
        assert (folder / name).read_bytes() == content
        assert (other / name).read_bytes() == content


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _edit(**changes: object):
    def edit(path: Path) -> None:
        record = read_record(path)
        for name, value in changes.items():
            if value is None:
                del record.attrs[name]
            else:
                record.attrs[name] = value
        write_record(record, path)

    return edit


def _claims(**changes: object):
    def edit(path: Path) -> None:
        rows = json.loads(path.read_text())
        rows[0].update(changes)
        path.write_text(json.dumps(rows))

    return edit


DAMAGES = {
    "cut record": ("record.nc", _cut, "record.nc is damaged or no netCDF file"),
    "empty record": ("record.nc", lambda path: path.write_bytes(b""), "record.nc is damaged"),
    "text as record": ("record.nc", lambda path: path.write_text("hello"), "record.nc is damaged"),
    "no record": ("record.nc", lambda path: path.unlink(), "there is no record.nc beside its claims."),
    "no card": ("record.nc", _edit(card=None), "record.nc has no attribute card."),
    "cut card": ("record.nc", _edit(card='{"title": "x'), "the attribute card of record.nc is damaged"),
    "card of another kind": (
        "record.nc",
        _edit(card="[]"),
        "the attribute card of record.nc must be a JSON dict.",
    ),
    "poor card": ("record.nc", _edit(card="{}"), "the card in record.nc has no systems."),
    "poor table": ("record.nc", _edit(parameter_table="[{}]"), "a line without one of its keys"),
    "cut claims": ("claims.json", _cut, "claims.json is damaged"),
    "claims no list": ("claims.json", lambda path: path.write_text("{}"), "claims.json must be a list"),
    "claim no object": (
        "claims.json",
        lambda path: path.write_text("[1]"),
        "claim 1 of claims.json is no object.",
    ),
    "not finite": ("claims.json", _claims(measured=float("nan")), "no finite number for measured, got nan"),
    "text for a number": ("claims.json", _claims(expected="1"), "no finite number for expected, got '1'"),
    "no statement": (
        "claims.json",
        _claims(statement=None),
        "claim 1 of claims.json has no text for statement.",
    ),
    "holds no bool": ("claims.json", _claims(holds="yes"), "holds 'yes'"),
    "claims of another run": ("claims.json", _claims(seed=99), "belongs to another run"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_told_and_the_rest_is_built(folder, case):
    file, harm, reason = DAMAGES[case]
    harm(folder / "recall-overlap" / file)
    build_site(folder)
    damages = {entry.name: entry.damage for entry in read_entries(folder) if entry.damage}
    assert list(damages) == ["recall-overlap"]
    assert reason in damages["recall-overlap"]
    assert str(folder) not in damages["recall-overlap"]
    words = " ".join(page(folder / "index.html").words.split())
    assert "1 of 3 experiments cannot be shown" in words
    assert " ".join(damages["recall-overlap"].split()) in words
    assert "1 claim holds, 1 does not, 1 could not be decided" in words
    test_every_link_is_relative_and_exists(folder)


# The destructor of h5netcdf complains about a file that its constructor has refused.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_random_damage_never_stops_the_site(folder):
    """Overwritten bytes anywhere in the record: shown or told as damaged, never an exception."""
    path = folder / "recall-overlap" / "record.nc"
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    damaged = 0
    for _ in range(40):
        content = bytearray(whole)
        at = int(rng.integers(len(content) - 256))
        content[at : at + 256] = rng.bytes(256)
        path.write_bytes(bytes(content))
        damaged += bool(read_entries(folder)[1].damage)
    assert damaged > 4


def test_claims_that_are_missing_are_no_pass(folder):
    (folder / "recall-overlap" / "claims.json").unlink()
    entry = read_entries(folder)[1]
    assert (entry.verdict, entry.word) == ("undecided", "undecided")
    (folder / "recall-overlap" / "claims.json").write_text("[]")
    assert read_entries(folder)[1].verdict == "undecided"
    build_site(folder)


def test_a_run_that_ended_in_an_error_is_told(folder):
    (folder / "recall-overlap" / "error.txt").write_text("ZeroDivisionError: broken.\n\nTraceback ...\n")
    (folder / "never-ran").mkdir()
    (folder / "never-ran" / "error.txt").write_text("there is no file x.\n")
    build_site(folder)
    words = " ".join(page(folder / "index.html").words.split())
    assert "The last run ended in an error: ZeroDivisionError: broken." in words
    assert "there is no file x." in words
    assert "5 claims hold, 1 does not, 3 could not be decided" in words
    test_every_link_is_relative_and_exists(folder)


def test_a_page_without_a_figure(folder):
    for name in ("figure.svg", "figure.png"):
        (folder / "recall-overlap" / name).unlink()
    test_every_link_is_relative_and_exists(folder)


def test_no_folder_and_no_record_are_refused(tmp_path):
    with pytest.raises(FileError, match=r"there is no folder .*nowhere\."):
        build_site(tmp_path / "nowhere")
    with pytest.raises(FileError, match="there is no record of an experiment in"):
        build_site(tmp_path)


def test_an_equation_that_cannot_be_converted_is_an_error(folder, experiments):
    experiments.write(
        folder, {"name": "bad-equation", "equations": [["x", r"\nosuch{x}"]]}, [experiments.bad()]
    )
    entry = next(entry for entry in read_entries(folder) if entry.name == "bad-equation")
    assert entry.damage == r"cannot convert '\\nosuch{x}' to MathML: \nosuch is not understood."


@pytest.mark.parametrize(
    "latex",
    [
        r"\foo",
        r"\frac{a}{",
        "x^",
        "",
        "}",
        r"\left( x",
        r"\text{<script>alert(1)</script>}",
        r"\href{javascript:x}{y}",
        r"\style{color:red}{x}",
        r"\text{<b>}",
    ],
)
def test_bad_equations_are_refused(latex):
    with pytest.raises(EquationError, match="cannot convert"):
        mathml(latex)


@pytest.mark.parametrize(
    "latex",
    [
        r"m = \operatorname{erf}\left(\frac{m}{\sqrt{2\alpha r}}\right)",
        r"\mathbf{x} \in \{-1, +1\}^N",
        r"\begin{cases} 1 & x>0 \\ 0 & x \le 0 \end{cases}",
        r"a < b \; \text{where } a > 0",
        r"\int_{-\infty}^{\infty} Dz",
        r"\langle x_i \rangle \approx \overline{x} \quad \hat\sigma^2 \ll \mathbb{E}[x]",
        r"\begin{pmatrix} 1 & 0 \end{pmatrix}",
    ],
)
def test_good_equations_are_converted(latex):
    formula = mathml(latex)
    assert formula.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">')
    assert "\\" not in formula
    Page(str(formula))


@pytest.mark.parametrize("name", list(registry()))
def test_cards_of_the_house_can_be_shown(name):
    card = registry()[name].card
    assert all(mathml(latex) for _, latex in card.equations)
    assert all(citation(key) for key in card.sources)


def test_citations():
    assert "<em>IEEE Transactions on Computers</em>" in citation("amari1972")
    assert "<" not in citation_text("amari1972")
    with pytest.raises(KeyError, match=r"there is no 'nobody' in references\.bib"):
        citation("nobody")


def test_the_csv_holds_every_number(folder):
    build_site(folder)
    record = read_record(folder / "recall-overlap" / "record.nc")
    text = (folder / "recall-overlap" / "record.csv").read_bytes().decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert text.count("\r\n") == len(lines) + 1

    def read(name: str, column: str = "value") -> np.ndarray:
        variable = record[name]
        found = np.full(variable.shape, np.nan)
        for line in (line for line in lines if line["variable"] == name):
            assert all((line[str(dim)] == "") == (dim not in variable.dims) for dim in record.sizes)
            places = []
            for dim in variable.dims:
                coordinate = record[dim].values if dim in record.coords else np.arange(record.sizes[dim])
                places.append(int(np.flatnonzero(coordinate == float(line[str(dim)]))[0]))
            found[tuple(places)] = float(line[column])
        return found

    for name in ("overlap", "overlap_theory", "course", "critical_load"):
        assert np.array_equal(read(name), record[name].values)
    assert np.array_equal(read("overlap", "standard_error"), record["overlap_stderr"].values)
    assert {line["long_name"] for line in lines if line["variable"] == "overlap"} == {'overlap, "m"'}
    assert {line["variable"] for line in lines} == {"overlap", "overlap_theory", "course", "critical_load"}


def test_the_csv_of_odd_records():
    record = xr.Dataset(
        {
            "word": ("place", np.array(["a,b", 'c"d'])),
            "flag": ("place", np.array([True, False])),
            "small": ("place", np.array([0.1, np.nan], dtype=np.float32)),
            "x_stderr": ("place", [1.0, 2.0]),
            "y": ("place", [1, 2]),
            "y_error": ((), 0.5),
        },
        {"label": ("place", ["p", "q"]), "unused": ("unused", [7, 8])},
    )
    lines = list(csv.DictReader(io.StringIO(record_csv(record), newline="")))
    values: dict[str, list[str]] = {}
    for line in lines:
        values.setdefault(line["variable"], []).append(line["value"])
    assert values == {
        "label": ["p", "q"],
        "unused": ["7", "8"],
        "word": ["a,b", 'c"d'],
        "flag": ["True", "False"],
        "small": ["0.1", "nan"],
        "x_stderr": ["1.0", "2.0"],
        "y": ["1", "2"],
        "y_error": ["0.5"],
    }
    assert [line["place"] for line in lines if line["variable"] == "y"] == ["0", "1"]


@pytest.mark.parametrize(
    "kind, expected, measured, holds, texts",
    [
        ("agrees", 0.5, 0.4, False, ("0.5", "0.400 ± 0.010", "differs by 0.1, allowed 0.05")),
        ("at least", 0.5, 0.4, False, ("≥ 0.5", "0.400 ± 0.010", "misses the bound by 0.1")),
        ("at least", 0.5, 0.6, True, ("≥ 0.5", "0.600 ± 0.010", "clears the bound by 0.1")),
        ("at most", 0.5, 0.4, True, ("≤ 0.5", "0.400 ± 0.010", "clears the bound by 0.1")),
        ("at most", 0.5, 0.6, False, ("≤ 0.5", "0.600 ± 0.010", "misses the bound by 0.1")),
        ("never", 0.0, 3.0, False, ("no event", "3 events", "")),
        ("scales", 2.0, 2.01, True, ("2", "2.010 ± 0.010", "differs by 0.01, allowed 0.05")),
    ],
)
def test_rows_say_what_was_claimed(kind, expected, measured, holds, texts):
    row = claim_row(Claim("It is so.", "C1", kind, expected, measured, 0.01, 0.05, "because", holds))
    assert (row.expected, row.measured, row.margin) == texts
    assert row.word == ("holds" if holds else "does not hold")


def test_the_tally_counts_each_verdict():
    rows = [claim_row(Claim("x", "C1", "agrees", 1, 1, 1, 1, "", holds)) for holds in (True, True, False)]
    assert tally(rows) == "2 claims hold, 1 does not, 0 could not be decided"
    assert (
        tally([*rows, undecided_row("x", "", "y")] * 2) == "4 claims hold, 2 do not, 2 could not be decided"
    )
