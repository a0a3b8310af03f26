"""What the documentation says, for tests that hold it to the code."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [ROOT / "README.md", *PAGES]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    """Return the code blocks of one language."""
    return [code for name, code in _FENCE.findall(page.read_text()) if name == language]


def shell_lines(page):
    """Return the lines of all code blocks that may be shell, continued lines as one."""
    text = page.read_text()
    fenced = [code for name, code in _FENCE.findall(text) if name in ("", "sh", "bash")]
    indented = re.findall(r"^ {4}(.*)$", _FENCE.sub("", text), re.MULTILINE)
    lines = "\n".join([*fenced, *indented]).replace("\\\n", " ")
    return lines.splitlines()


def inline_code(page):
    """Return what stands between single backticks outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", page.read_text()))
