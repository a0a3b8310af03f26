"""The v1.1 feature table."""

import io

import numpy as np
import pytest
import scipy.io.arff

from clients.errors import BadRecordings
from clients.recordings import read_recordings
from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.features import FEATURE_NAMES, read_features

HEADER = "\n".join(
    [
        "@relation activity_recognition_labeled",
        '@attribute "UNIQUE_ID" numeric',
        '@attribute "user" {"33" , "17"}',
        *(f'@attribute "{name}" numeric' for name in FEATURE_NAMES),
        '@attribute class{ "Walking" , "Jogging" }',
        "@data",
        "",
    ]
)


def row(user, activity, first="0.5"):
    return ",".join(["1", user, first, *(str(i) for i in range(1, 43)), activity])


def test_there_are_43_features_from_x0_to_resultant():
    assert len(FEATURE_NAMES) == 43
    assert (FEATURE_NAMES[0], FEATURE_NAMES[10], FEATURE_NAMES[30]) == ("X0", "Y0", "XAVG")
    assert FEATURE_NAMES[33:36] == ("XPEAK", "YPEAK", "ZPEAK")
    assert FEATURE_NAMES[-1] == "RESULTANT"


def test_rows_become_segments_ten_seconds_apart_within_the_user(tmp_path):
    path = tmp_path / "table.arff"
    rows = [row("33", "Jogging"), row("33", "Walking"), row("17", "Walking"), row("33", "Jogging")]
    path.write_text(HEADER + "\r\n".join(rows) + "\r\n")
    recordings, report = read_recordings(path, source="auto", rate_hz=20.0)
    assert [(r.user, r.activity) for r in recordings] == [
        ("17", "walking"),
        ("33", "jogging"),
        ("33", "walking"),
    ]
    jogging = recordings[1]
    assert jogging.rate_hz == 0.1
    assert jogging.samples.shape == (2, 43)
    assert jogging.samples.dtype == np.float32
    assert jogging.samples[0, :3].tolist() == [0.5, 1.0, 2.0]
    assert jogging.segment_starts.tolist() == [0, 1]
    assert jogging.segment_times_s.tolist() == [0.0, 20.0]
    assert (report.rows_read, report.rows_kept, report.counts()) == (4, 4, {})


def test_every_wrong_row_is_told_with_its_line(tmp_path):
    path = tmp_path / "table.arff"
    rows = [
        row("33", "Jogging", first="?"),
        row("33", "Flying"),
        "",
        row("33", "Jogging", first="much"),
        row("33", "Jogging", first="nan"),
        row("me", "Jogging"),
        "1,2,3",
    ]
    path.write_text(HEADER + "\n".join(rows) + "\n")
    first = HEADER.count("\n") + 1
    log = DefectLog()
    table = read_features(path, log)
    reasons, _, lines = log.arrays()
    assert list(zip(map(Reason, reasons), (lines - first).tolist(), strict=True)) == [
        (Reason.MISSING_FEATURE, 0),
        (Reason.UNKNOWN_ACTIVITY, 1),
        (Reason.BLANK_LINE, 2),
        (Reason.MALFORMED, 3),
        (Reason.MALFORMED, 4),
        (Reason.MALFORMED, 5),
        (Reason.MALFORMED, 6),
    ]
    assert table.rows_read == 7
    assert np.isnan(table.features[0, 0])
    assert table.features[0, 1] == 1.0


def test_other_arff_file_is_refused(tmp_path):
    path = tmp_path / "other.arff"
    path.write_text("@relation x\n@attribute a numeric\n@data\n1\n")
    with pytest.raises(BadRecordings, match=r"not the WISDM v1\.1 feature table: 1 columns"):
        read_recordings(path, source="auto", rate_hz=20.0)


def test_published_table_agrees_with_scipy(wisdm_features):
    """SciPy needs the blanks gone that pad the nominal values of the header."""
    log = DefectLog()
    table = read_features(wisdm_features, log)
    text = wisdm_features.read_text()
    head, data = text.split("@data")
    head = head.replace('"', "").replace(" ,", ",").replace("class{", "class {")
    rows, _ = scipy.io.arff.loadarff(io.StringIO(head + "@data" + data))
    assert len(rows) == table.rows_read == 5418
    assert [b.decode() for b in rows["user"]] == table.user
    assert [b.decode().lower() for b in rows["class"]] == table.activity
    expected = np.stack([rows[name] for name in FEATURE_NAMES], axis=1)
    np.testing.assert_array_equal(table.features, expected.astype(np.float32))
    assert log.count(Reason.MISSING_FEATURE) == 474


def test_published_table_has_36_users_and_keeps_missing_values(wisdm_features):
    recordings, report = read_recordings(wisdm_features.parent, source="auto", rate_hz=20.0)
    assert report.source == "wisdm-v1.1-features"
    assert {r.user for r in recordings} == {str(u) for u in range(1, 37)}
    assert sum(len(r.samples) for r in recordings) == report.rows_kept == 5418
    assert sum(int(np.isnan(r.samples).any(axis=1).sum()) for r in recordings) == 474
