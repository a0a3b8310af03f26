"""Tables of a page of the report, as text."""

import re
from html import unescape


def cells(table):
    """Return the text of each row's cells."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in found]


def table_after(html, heading):
    return cells(re.search(r"<table.*?</table>", html[html.index(heading) :], re.DOTALL)[0])
