"""The documentation builds, needs no network, and names files and targets that are there."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.made_docs import PAGES, ROOT, TEXTS, inline_code, shell_lines

LINK = re.compile(r"\]\(([^)\s]+)\)")
LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
KEPT = ("clients/", "server/", "simulator/", "tests/", "scenarios/", "benchmarks/", "docs/")


class Page(HTMLParser):
    """What a page loads, where it links to, and what can be linked to in it."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if (tag, given.get("rel")) != ("link", "canonical") and given.get(LOADS.get(tag, "")):
            self.loads.append(given[LOADS[tag]])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder, {file.name: Page(file.read_text()) for file in folder.glob("*.html")}


def test_every_page_is_built_and_found_from_the_first(site):
    _, pages = site
    wanted = {page.with_suffix(".html").name for page in PAGES}
    assert wanted <= pages.keys()
    assert wanted <= {link.partition("#")[0] for link in pages["index.html"].links} | {"index.html"}


def test_pages_load_nothing_from_elsewhere(site):
    folder, pages = site
    loads = {load.partition("?")[0] for name, page in pages.items() for load in page.loads}
    assert "site.css" in loads
    assert [load for load in loads if not (folder / load.lstrip("/")).is_file()] == []
    styles = "".join(file.read_text() for file in folder.rglob("*.css"))
    urls = re.findall(r"url\(([^)]*)\)", styles)
    assert [url for url in urls if "//" in url and "data:" not in url] == []


def test_links_lead_to_pages_and_headings_that_are_there(site):
    folder, pages = site
    broken = []
    for name, page in pages.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            if "://" in link or name == "404.html":
                continue
            target = pages.get(path or name)
            there = target is not None or (folder / path).exists()
            if not there or (anchor and target and anchor not in target.anchors):
                broken.append((name, link))
    assert broken == []


@pytest.mark.parametrize("text", [ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_links_outside_of_the_site_lead_to_files(text):
    links = [link for link in LINK.findall(text.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).is_file()] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda p: p.name)
def test_files_and_targets_that_are_named_are_there(text):
    named = [word for code in inline_code(text) for word in code.split()]
    named += [word for line in shell_lines(text) for word in line.split()]
    files = {word.rstrip(".,:;") for word in named if word.startswith(KEPT) and "<" not in word}
    assert [file for file in files if not (ROOT / file).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [*inline_code(text), *map(str.strip, shell_lines(text))]
    made = {line.split()[1] for line in lines if re.match(r"make [a-z]", line)}
    assert made <= targets
    modules = {word for line in lines for word in re.findall(r"-m (benchmarks\.\w+)", line)}
    assert [m for m in modules if not (ROOT / f"{m.replace('.', '/')}.py").is_file()] == []
