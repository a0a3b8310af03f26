"""Raw WISDM text -> rows: what each line becomes, and that no line is lost."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.wisdm.defects import REJECTED, DefectLog, Reason
from clients.wisdm.parser import read_rows
from clients.wisdm.rows import LINE_FORMS, concatenate

V1 = LINE_FORMS["wisdm-v1.1"]
GOOD = "33,Jogging,49105962326000,-0.69,12.68,0.50;"


def read(tmp_path: Path, data: bytes | str):
    path = tmp_path / "raw.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    log = DefectLog()
    parts, lines, rows = read_rows(path, 0, V1, log)
    reasons, _, numbers = log.arrays()
    noted = [(Reason(r), int(n)) for r, n in zip(reasons, numbers, strict=True)]
    return (concatenate(parts) if parts else None), noted, lines, rows


def test_clean_line_gives_its_six_fields(tmp_path):
    rows, noted, lines, total = read(tmp_path, GOOD + "\n")
    assert (lines, total, noted) == (1, 1, [])
    assert rows.user.tolist() == [33]
    assert V1.names[rows.activity[0]] == "jogging"
    assert rows.time.tolist() == [49105962326000]
    assert rows.line.tolist() == [1]
    np.testing.assert_array_equal(rows.samples, np.float32([[-0.69, 12.68, 0.50]]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", Reason.BLANK_LINE),
        ("   ", Reason.BLANK_LINE),
        (";", Reason.MALFORMED),
        ("hello", Reason.MALFORMED),
        ("33,Jogging,49105962326000,-0.69,12.68,0.50,7;", Reason.MALFORMED),
        ("33,Jogging,4910596x,-0.69,12.68,0.50;", Reason.MALFORMED),
        ("0x21,Jogging,49105962326000,-0.69,12.68,0.50;", Reason.MALFORMED),
        ("-33,Jogging,49105962326000,-0.69,12.68,0.50;", Reason.MALFORMED),
        ("33,Jogging,49105962326000,-0.69,12.68,0.5.0;", Reason.MALFORMED),
        ("33,Jogging,49105962326000,-0.69,12.68,0_5;", Reason.MALFORMED),
        (",Jogging,49105962326000,-0.69,12.68,0.5;", Reason.MALFORMED),
        ("11,Walking,1867172313000,4.4,4.4,;", Reason.MISSING_VALUE),
        ("11,Walking,1867172313000,4.4,4.4;", Reason.MISSING_VALUE),
        ("11,Walking,1867172313000,4.4,,;", Reason.MISSING_VALUE),
        ("11,Walking,1867172313000,4.4,4.4,,;", Reason.MISSING_VALUE),
        ("11,Flying,1867172313000,1,2,3;", Reason.UNKNOWN_ACTIVITY),
        ("11,,1867172313000,1,2,3;", Reason.UNKNOWN_ACTIVITY),
        ("11,Walking,0,0,0,0;", Reason.ZERO_TIME),
        ("11,Walking,-5,1,2,3;", Reason.ZERO_TIME),
        ("11,Walking,1867172313000,nan,2,3;", Reason.BAD_SAMPLE),
        ("11,Walking,1867172313000,1,-inf,3;", Reason.BAD_SAMPLE),
        ("11,Walking,1867172313000,1,2,200.5;", Reason.BAD_SAMPLE),
        ("11,Walking,1867172313000,1,2,1e99;", Reason.BAD_SAMPLE),
    ],
)
def test_useless_line_is_rejected_with_its_reason_and_number(tmp_path, line, reason):
    rows, noted, lines, total = read(tmp_path, f"{GOOD}\n{line}\n{GOOD}\n")
    assert [n for n in noted if n[0] in REJECTED] == [(reason, 2)]
    assert rows.line.tolist() == [1, 3]
    assert (lines, total) == (3, 3)


@pytest.mark.parametrize(
    ("line", "notes", "numbers"),
    [
        (GOOD.replace(";", ",;"), [(Reason.EXTRA_COMMA, 2)], [1, 2, 3]),
        (GOOD.removesuffix(";"), [(Reason.NO_SEMICOLON, 2)], [1, 2, 3]),
        (GOOD + GOOD, [(Reason.JOINED_RECORDS, 2)], [1, 2, 2, 3]),
        (GOOD + " " + GOOD, [(Reason.JOINED_RECORDS, 2)], [1, 2, 2, 3]),
        (GOOD.replace(",", ", "), [], [1, 2, 3]),
        (GOOD + "  ", [], [1, 2, 3]),
        (GOOD + "\r", [], [1, 2, 3]),
        ("11,Walking,1867172313000,1,2,200;", [], [1, 2, 3]),
    ],
)
def test_untidy_line_is_mended_in_place(tmp_path, line, notes, numbers):
    rows, noted, _, total = read(tmp_path, f"{GOOD}\n{line}\n{GOOD}\n")
    assert noted == notes
    assert rows.line.tolist() == numbers
    assert total == len(numbers)


def test_row_that_the_file_ends_in_is_not_trusted(tmp_path):
    rows, noted, _, _ = read(tmp_path, f"{GOOD}\n33,Jogging,49105962326000,-0.69,12.68,0.5")
    assert noted == [(Reason.CUT_OFF, 2)]
    assert rows.line.tolist() == [1]


def test_last_row_needs_no_newline(tmp_path):
    rows, noted, lines, _ = read(tmp_path, f"{GOOD}\n{GOOD}")
    assert (noted, lines) == ([], 2)
    assert rows.line.tolist() == [1, 2]


def test_byte_order_mark_is_ignored(tmp_path):
    rows, noted, _, _ = read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode() + b"\n")
    assert noted == []
    assert rows.user.tolist() == [33]


def test_line_numbers_stay_exact_over_several_blocks_and_refused_blocks(tmp_path):
    """200,000 lines of 45 bytes are two blocks; wrong lines that look clean make pyarrow refuse."""
    lines = [f"33,Jogging,{49105962326000 + i},-0.69,12.68,0.50;" for i in range(200_000)]
    wrong = {7: "33,Jogging,4910596x,1,2,3;", 99_999: "", 150_000: "33,Jogging,5,a,2,3;"}
    for index, line in wrong.items():
        lines[index] = line
    rows, noted, total_lines, total = read(tmp_path, "\n".join(lines) + "\n")
    assert noted == [
        (Reason.MALFORMED, 8),
        (Reason.BLANK_LINE, 100_000),
        (Reason.MALFORMED, 150_001),
    ]
    assert (total_lines, total) == (200_000, 200_000)
    expected = np.delete(np.arange(200_000), list(wrong))
    np.testing.assert_array_equal(rows.line, expected + 1)
    np.testing.assert_array_equal(rows.time, expected + 49105962326000)


FRAGMENTS = st.one_of(
    st.sampled_from("\n\n;,,.-+ \t\r\0\"'"),
    st.sampled_from(["33", "Jogging", "49105962326000", "0", "-1.5", "1e3", "nan", "é", "0x1F"]),
    st.sampled_from([GOOD + "\n", GOOD, ",;", "99999999999999999999", "5,Sitting,7,1,2,3;\n"]),
)


@settings(max_examples=300)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.lists(FRAGMENTS, max_size=40).map(lambda parts: "".join(parts).encode()),
    )
)
def test_every_line_of_arbitrary_bytes_is_accounted_for(tmp_path_factory, data):
    rows, noted, lines, total = read(tmp_path_factory.mktemp("any"), data)
    rejected = [line for reason, line in noted if reason in REJECTED]
    kept = [] if rows is None else rows.line.tolist()
    assert len(kept) + len(rejected) == total
    assert lines == data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
    assert set(kept) | set(rejected) == set(range(1, lines + 1))
    assert kept == sorted(kept)


@settings(max_examples=200)
@given(
    fields=st.lists(
        st.one_of(
            st.sampled_from(
                ["33", "Jogging", "7", "", " 1 ", "-0", "+1", "1.", ".5", "1e2", "inf"]
            ),
            st.sampled_from(
                ["NaN", "0x1", "1e", "--1", "1 2", "007", "2147483648", "true", "null"]
            ),
            st.text(alphabet="0123456789.eE+-xn ", max_size=6),
        ),
        min_size=6,
        max_size=6,
    ),
)
def test_fast_and_careful_parsers_agree_on_every_field(tmp_path_factory, fields):
    """A blank after the semicolon sends the same row to the careful parser."""
    fields[1] = "Jogging"
    row = ",".join(fields) + ";"
    fast, fast_notes, _, _ = read(tmp_path_factory.mktemp("fast"), row + "\n")
    careful, careful_notes, _, _ = read(tmp_path_factory.mktemp("careful"), row + " \n")
    assert fast_notes == careful_notes
    assert fast.user.tolist() == careful.user.tolist()
    assert fast.time.tolist() == careful.time.tolist()
    np.testing.assert_array_equal(fast.samples, careful.samples)
