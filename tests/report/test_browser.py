"""The site in headless Chromium, from file://."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from neuromanifold.report import build_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"),
]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--enable-logging=stderr",
]

# Reports, from inside a page, how wide it lays itself out.
PROBE = """
<script>
addEventListener("load", () => {
  const root = document.documentElement, wide = [];
  for (const item of document.querySelectorAll("body *")) {
    const box = item.getBoundingClientRect();
    const out = box.width > 0 && box.right > root.clientWidth + 0.5;
    if (out && !item.closest(".scroll")) wide.push(item.tagName);
  }
  const broken = [...document.images].filter((image) => !image.complete || !image.naturalWidth).length;
  parent.postMessage({ name: location.pathname, width: root.clientWidth, scroll: root.scrollWidth,
    fractions: [...document.querySelectorAll("mfrac")].map((item) =>
      item.getBoundingClientRect().height),
    wide, images: document.images.length, broken }, "*");
});
</script>
"""

FRAMES = """<!DOCTYPE html><body>%s<pre id="told"></pre><script>
const told = [];
addEventListener("message", (event) => { told.push(event.data);
  document.getElementById("told").textContent = JSON.stringify(told); });
</script>"""


@pytest.fixture(scope="module")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = shutil.copytree(made, tmp_path_factory.mktemp("site") / "out")
    return build_site(folder).parent


def chromium(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of the browser with a fresh profile."""
    assert CHROMIUM is not None
    profile = tmp_path / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


def shot(tmp_path: Path, page: Path, *options: str) -> np.ndarray:
    """A picture of a page, shape (height, width, channels), from 0 to 1."""
    picture = tmp_path / "shot.png"
    picture.unlink(missing_ok=True)
    chromium(tmp_path, f"--screenshot={picture}", "--window-size=900,1200", *options, page.as_uri())
    return imread(picture)[..., :3]


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page made the browser complain about."""
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("name", ["index.html", "recall-overlap/index.html"])
def test_the_console_stays_silent(site, tmp_path, name):
    assert console(chromium(tmp_path, "--dump-dom", (site / name).as_uri())) == []


def test_the_console_would_tell(site, tmp_path):
    """The test above can fail: a page that breaks its own rules is complained about."""
    copy = site / "broken.html"
    text = (site / "index.html").read_text()
    copy.write_text(text.replace("<main", '<img src="https://example.invalid/x.png" alt="x"><main'))
    assert console(chromium(tmp_path, "--dump-dom", copy.as_uri())) != []
    copy.unlink()


def measure(site: Path, tmp_path: Path, spoil: str = "") -> list[dict]:
    """The widths of every page in a frame of 320 pixels, measured by a script in a copy of the site."""
    copy = shutil.copytree(site, tmp_path / "copy")
    frames = ""
    for page in sorted(copy.rglob("index.html")):
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
        page.write_text(text.replace(' loading="lazy"', "").replace("</body>", f"{spoil}{PROBE}</body>"))
        frames += (
            f'<iframe src="{page.relative_to(copy)}" width="320" height="600" style="border:0"></iframe>'
        )
    (copy / "frames.html").write_text(FRAMES % frames)
    done = chromium(tmp_path, "--virtual-time-budget=5000", "--dump-dom", (copy / "frames.html").as_uri())
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None
    told = json.loads(html.unescape(found[1]))
    assert len(told) == len(list(copy.rglob("index.html")))
    assert {page["width"] for page in told} == {320}
    return told


def test_nothing_overflows_at_320_pixels(site, tmp_path):
    for page in measure(site, tmp_path):
        assert page["scroll"] == 320, page
        assert page["wide"] == [], page
        assert page["images"] >= 1
        assert page["broken"] == 0


def test_an_overflow_would_be_seen(site, tmp_path):
    spoil = '<div style="width: 400px">x</div><img src="nowhere.svg" alt="x">'
    for page in measure(site, tmp_path, spoil):
        assert page["scroll"] >= 400
        assert "DIV" in page["wide"]
        assert page["broken"] == 1


def test_light_and_dark(site, tmp_path):
    page = site / "recall-overlap" / "index.html"
    light = shot(tmp_path, page)
    dark = shot(tmp_path, page, "--blink-settings=preferredColorScheme=0")
    corner = (slice(0, 8), slice(0, 8))
    assert light[corner].min() > 0.9
    assert dark[corner].max() < 0.2
    # The figure keeps a white plate in the dark: a tall white region is on both.
    white = (dark.min(axis=2) > 0.99).mean(axis=1)
    assert (white > 0.3).sum() > 100


def test_readable_without_colour(site, tmp_path):
    """Each verdict is a word and a shape of its own."""
    dom = chromium(tmp_path, "--dump-dom", (site / "index.html").as_uri()).stdout
    shapes: dict[str, set[str]] = {}
    for kind, shape in re.findall(r'<span class="verdict (\w+)"><svg[^>]*>(.*?)</svg><span>', dom):
        shapes.setdefault(kind, set()).add(shape)
    assert set(shapes) == {"holds", "fails", "undecided"}
    assert all(len(shape) == 1 for shape in shapes.values())
    assert len(set().union(*shapes.values())) == 3


def test_mathematics_is_laid_out(site, tmp_path):
    """The browser knows the MathML: a fraction stands as high as two lines of text in a page of 16 pixels."""
    heights = [height for page in measure(site, tmp_path) for height in page["fractions"]]
    assert len(heights) >= 3 * 4
    assert max(heights) > 32
