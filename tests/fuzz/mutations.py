"""Malformed inputs: what is valid, damaged; what is random; and what looks right and is not."""

from hypothesis import strategies as st

NASTY = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"nan", b"-inf", b"1e999", b"-1", b"9" * 25, b"9" * 400,
    b"0x7f", b"-0", b"../../../outside/deep/secret.txt", b"/etc/passwd", b"..", b"[" * 2000,
    b"{" * 500, b"a." * 500, b'"' * 7, b"\r", b"\n" * 50, b"\x1b[2J", b"\xed\xa0\x80", b",,,,,,",
    b";;;;", b"=", b"%s%n", b"\xe2\x80\xae", b"'", b"2147483648", b"18446744073709551616", b"true",
    b"null", b"[]", b"{}", b"-9223372036854775808", b"1.7976931348623157e308", b" " * 300,
]  # fmt: skip


@st.composite
def damaged(draw, valid, nasty=tuple(NASTY)):
    """Draw bytes: one of some valid contents, damaged a few times.

    Args:
        draw: hypothesis's.
        valid: contents.
        nasty: what is put in.
    """
    content = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64, 1000]))
        kind = draw(st.integers(0, 8))
        if kind == 0 and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = draw(st.sampled_from(nasty))
        elif kind == 3:
            piece = draw(st.sampled_from(nasty))
            content[at : at + len(piece)] = piece
        elif kind == 4:
            content[at:at] = content[at : at + length] * draw(st.integers(1, 3))
        elif kind == 5:
            del content[at:]
        elif kind == 6:
            content[at:at] = draw(st.binary(max_size=16))
        elif kind == 7:
            content = _with_line(content, at, draw(st.integers(0, 3)))
        else:
            _put_in_place_of_a_number(content, at, draw(st.sampled_from(nasty)))
    return bytes(content)


def _with_line(content, at, kind):
    """Repeat, drop, empty or swap the line at a place."""
    lines = bytes(content).splitlines(keepends=True) or [b""]
    i = min(bytes(content[:at]).count(b"\n"), len(lines) - 1)
    if kind == 0:
        lines[i:i] = [lines[i]] * 3
    elif kind == 1:
        del lines[i]
    elif kind == 2:
        lines[i] = b"\n"
    else:
        lines[i], lines[0] = lines[0], lines[i]
    return bytearray(b"".join(lines))


def _put_in_place_of_a_number(content, at, piece):
    """Replace the digits at or after a place."""
    digits = b"0123456789"
    first = next((i for i in range(at, len(content)) if content[i] in digits), None)
    if first is not None:
        last = first
        while last < len(content) and content[last] in digits:
            last += 1
        content[first:last] = piece


def bytes_like(*valid):
    """Draw valid contents damaged, mostly, and bytes that never were any."""
    return st.one_of(*[damaged(list(valid))] * 6, st.binary(max_size=300))


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from([0, 1, 2, 8, 10**6, 2**31, 2**63, -1, 10**30]),
        st.floats(),
        st.text(max_size=12),
        st.sampled_from(["../x", "/etc/passwd", "\x00", "local", "all", "random", "x" * 5000, ""]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
"""Values of JSON or TOML that stand where others are expected."""
