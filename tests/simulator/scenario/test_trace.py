"""When which devices cannot be reached, as a file says."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BadInput
from simulator.scenario.trace import read_trace

DEVICES = ("1600", "1601", "1600+1")


@pytest.fixture
def trace(tmp_path):
    """Give a function that reads a trace of some text."""

    def of(text, rounds=5):
        (tmp_path / "trace.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_trace(tmp_path / "trace.csv", DEVICES, rounds)

    return of


def marks(there):
    return ["".join("x" if each else "." for each in row) for row in there]


def test_a_device_is_missing_from_the_first_to_the_last_round_of_a_span(trace):
    text = "device,first_round,last_round\n1601,2,4\n1600+1,5,5\n"
    assert marks(trace(text)) == ["xxxxx", "x...x", "xxxx."]


def test_a_trace_without_spans_leaves_all_devices_in_reach(trace):
    found = trace("device,first_round,last_round\n")
    assert found.dtype == np.bool_
    assert found.shape == (3, 5)
    assert found.all()


def test_spans_overlap_and_go_on_beyond_the_last_round(trace):
    text = "device,first_round,last_round\n1600,1,2\n1600,2,3\n1601,4,99\n1600+1,6,999999999\n"
    assert marks(trace(text)) == ["...xx", "xxx..", "xxxxx"]


def test_order_of_columns_blanks_empty_lines_and_line_ends_do_not_matter(trace):
    text = "\ufefflast_round, device ,first_round\r\n\r\n 3 , 1601,2\r\n  \r\n"
    assert marks(trace(text)) == ["xxxxx", "x..xx", "xxxxx"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the columns are none; expected device, first_round, last_round"),
        ("device,first_round\n1600,1\n", "the columns are 'device', 'first_round'"),
        ("device,first_round,last_round,why\n", "the columns are"),
        ("1600,1,2\n", "named in the first line"),
        ("device,first_round,last_round\n1600,1\n", "line 2: 2 values ('1600', '1'); expected 3"),
        ("device,first_round,last_round\n\n1600,1,2,3\n", "line 3: 4 values"),
        ("device,first_round,last_round\n1699,1,2\n", "line 2: device = '1699': no device"),
        ("device,first_round,last_round\n../../x,1,2\n", "device = '../../x': no device"),
        ("device,first_round,last_round\n1600,3,2\n", "first_round = 3 comes after last_round = 2"),
        ("device,first_round,last_round\n1600,0,2\n", "first_round = '0'; expected a round"),
        ("device,first_round,last_round\n1600,-1,2\n", "first_round = '-1'"),
        ("device,first_round,last_round\n1600,1,two\n", "last_round = 'two'"),
        ("device,first_round,last_round\n1600,1.0,2\n", "first_round = '1.0'"),
        ("device,first_round,last_round\n1600,nan,2\n", "first_round = 'nan'"),
        ("device,first_round,last_round\n1600,1,\u0662\n", "last_round = '\u0662'"),
        ("device,first_round,last_round\n1600,1," + "9" * 30 + "\n", "last_round = '999"),
        ("device,first_round,last_round\n" + "x" * 2000 + ",1,2\n", "more than 1000 characters"),
        ('device,first_round,last_round\n"1600,1,2\n', "no CSV"),
        (b"device,first_round,last_round\n\xff,1,2\n", "byte 30 is no UTF-8"),
    ],
)
def test_what_is_no_trace_is_refused_by_file_line_and_value(trace, tmp_path, text, said):
    with pytest.raises(BadInput) as refused:
        trace(text)
    assert str(refused.value).startswith(str(tmp_path / "trace.csv"))
    assert said in str(refused.value)


def test_files_that_are_missing_no_files_or_too_large_are_refused(tmp_path):
    with pytest.raises(BadInput, match="there is no such file"):
        read_trace(tmp_path / "none.csv", DEVICES, 5)
    with pytest.raises(BadInput, match="is a folder"):
        read_trace(tmp_path, DEVICES, 5)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="no ordinary file"):
        read_trace(tmp_path / "pipe", DEVICES, 5)
    (tmp_path / "large.csv").touch()
    os.truncate(tmp_path / "large.csv", 2**30)
    with pytest.raises(BadInput, match="1,073,741,824 bytes or more"):
        read_trace(tmp_path / "large.csv", DEVICES, 5)


SPANS = st.lists(
    st.tuples(st.sampled_from(DEVICES), st.integers(1, 9), st.integers(0, 9)), max_size=20
)


@given(SPANS, st.integers(1, 9))
def test_a_device_is_there_in_a_round_unless_a_span_of_its_own_holds_it(
    tmp_path_factory, spans, rounds
):
    path = tmp_path_factory.getbasetemp() / "spans.csv"
    lines = [f"{device},{first},{first + more}\n" for device, first, more in spans]
    path.write_text("".join(["device,first_round,last_round\n", *lines]))
    expected = [
        [
            not any(d == device and a <= round_ <= a + b for d, a, b in spans)
            for round_ in range(1, rounds + 1)
        ]
        for device in DEVICES
    ]
    assert read_trace(path, DEVICES, rounds).tolist() == expected
