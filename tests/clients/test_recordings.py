"""WISDM files -> recordings and the report on every line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clients.recordings
import clients.wisdm.summary
from clients.errors import BadRecordings
from clients.recordings import fingerprint, read_recordings
from clients.wisdm.summary import summarize

SECOND = 1_000_000_000
SOURCES = ["auto", "wisdm-v1.1", "wisdm-2019", "actitracker-v2.0", "wisdm-v1.1-features"]


def lines(user, activity, start_s, count, step_s=0.05, value=1.0):
    """Write `count` clean lines; x rises by 0.01 a line from `value`."""
    return [
        f"{user},{activity},{round((start_s + i * step_s) * SECOND)},{value + i / 100:.2f},9.8,0.5;"
        for i in range(count)
    ]


def write(tmp_path, *blocks):
    path = tmp_path / "WISDM_ar_v1.1_raw.txt"
    path.write_text("\n".join(line for block in blocks for line in block) + "\n")
    return path


def read(path, **options):
    return read_recordings(path, **{"source": "wisdm-v1.1", "rate_hz": 20.0, **options})


def test_public_names_are_pinned():
    assert clients.recordings.__all__ == [
        "FEATURE_NAMES",
        "ReadReport",
        "Recording",
        "fingerprint",
        "read_recordings",
    ]
    assert clients.wisdm.summary.__all__ == ["Summary", "summarize"]


def test_recording_joins_segments_in_time_order_with_times_from_the_users_first_sample(tmp_path):
    path = write(
        tmp_path,
        lines(5, "Walking", 110, 41, value=1.0),
        lines(5, "Sitting", 100, 41),
        lines(5, "Walking", 130, 61, value=2.0),
        lines(7, "Walking", 500, 41),
    )
    recordings, report = read(path)
    assert [(r.user, r.activity) for r in recordings] == [
        ("5", "sitting"),
        ("5", "walking"),
        ("7", "walking"),
    ]
    walking = recordings[1]
    assert walking.segment_starts.tolist() == [0, 41]
    assert walking.segment_times_s.tolist() == [10.0, 30.0]
    assert walking.samples.shape == (102, 3)
    np.testing.assert_allclose(walking.samples[[0, 40, 41], 0], [1.0, 1.4, 2.0], atol=1e-5)
    assert recordings[2].segment_times_s.tolist() == [0.0]
    assert report.rows_kept == report.rows_read == 184
    assert report.native_rates_hz["5", "walking"] == pytest.approx((20.0,))


def test_users_are_sorted_as_numbers(tmp_path):
    path = write(tmp_path, *(lines(user, "Walking", 10, 30) for user in (10, 9, 33)))
    recordings, _ = read(path)
    assert [r.user for r in recordings] == ["9", "10", "33"]
    assert [r.user for r in read(path, users=2)[0]] == ["9", "10"]
    assert [r.user for r in read(path, users=["33", "9"])[0]] == ["9", "33"]


def test_published_dirt_is_accounted_for_line_by_line(tmp_path):
    good = lines(33, "Jogging", 100, 60)
    path = write(
        tmp_path,
        good[:10],
        [good[10] + good[11]],  # line 11: two rows
        ["", "33,Jogging,105000000000,4.4,,;"],  # 12 blank, 13 without z
        [good[12].replace(";", ",;")],  # 14
        ["33,Jogging,0,0,0,0;"],  # 15
        good[13:20],  # 16 to 22
        [good[19]],  # 23: again
        [good[19].replace("9.8", "1.1")],  # 24: same time, other sample
        [good[21], good[20]],  # 25, 26: changed places
        good[22:],  # 27 to 64
        ["33,Jogging,104000000000,500,0,0;"],  # 65
        lines(33, "Jogging", 50, 5),  # 66 to 70: back in time, too short
    )
    recordings, report = read(path)
    assert {reason: [n for _, n in report.lines(reason)] for reason in report.counts()} == {
        "blank-line": [12],
        "missing-value": [13],
        "zero-time": [15],
        "bad-sample": [65],
        "repeated-row": [23],
        "repeated-time": [24],
        "short-segment": [66, 67, 68, 69, 70],
        "joined-records": [11],
        "extra-comma": [14],
        "reordered": [26],
        "jump-back": [66],
    }
    assert report.lines_read == 70
    assert report.rows_read == 71
    assert (report.rows_kept, report.rows_rejected()) == (60, 11)
    assert {file for file, _ in report.lines("blank-line")} == {path}
    expected = 1.0 + np.arange(60) / 100
    np.testing.assert_allclose(recordings[0].samples[:, 0], expected, atol=1e-5)


def test_choice_of_users_and_activities_leaves_out_rows_and_says_so(tmp_path):
    path = write(
        tmp_path,
        lines(5, "Sitting", 100, 30),
        lines(5, "Walking", 110, 30),
        lines(7, "Walking", 10, 30),
    )
    everything, _ = read(path)
    recordings, report = read(path, activities=["walking"], users=["5"])
    assert [(r.user, r.activity) for r in recordings] == [("5", "walking")]
    assert recordings[0].segment_times_s.tolist() == [10.0]
    assert report.counts() == {"not-requested": 60}
    assert report.rows_kept == 30
    assert fingerprint(recordings) == fingerprint(everything[1:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activities": ["walking", "flying"]}, r"no activity 'flying'.*sitting, walking"),
        ({"activities": []}, "empty list of activities"),
        ({"users": 3}, r"3 users asked for; expected 1 to 2.*5, 7"),
        ({"users": 0}, "0 users asked for"),
        ({"users": []}, "empty list of users"),
        ({"users": ["5", "8"]}, r"no user '8' .*5, 7"),
        ({"users": ["7"], "activities": ["sitting"]}, r"no user '7' .*expected some of 5\."),
        ({"rate_hz": 0.0}, r"rate_hz is 0\.0"),
        ({"rate_hz": float("nan")}, "rate_hz is nan"),
        ({"source": "wisdm-2019"}, r"no valid row of wisdm-2019 in 90 lines \(90 unknown-activity"),
    ],
)
def test_what_the_data_lacks_is_refused_with_what_it_has(tmp_path, options, message):
    path = write(
        tmp_path,
        lines(5, "Sitting", 100, 30),
        lines(5, "Walking", 110, 30),
        lines(7, "Walking", 10, 30),
    )
    with pytest.raises(BadRecordings, match=message):
        read(path, **options)


def test_data_without_a_second_in_one_piece_is_refused(tmp_path):
    path = write(tmp_path, lines(5, "Sitting", 100, 30, step_s=1.0))
    with pytest.raises(BadRecordings, match=r"no segment of at least 1 s.*30 short-segment"):
        read(path)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("data", [b"", b"\n\n", b"5,Walking,1,2\n"])
def test_file_without_a_valid_row_is_refused_by_name(tmp_path, source, data):
    path = tmp_path / "nothing.txt"
    path.write_bytes(data)
    with pytest.raises(BadRecordings, match=r"nothing\.txt: no.*expected"):
        read(path, source=source)


def test_2019_letters_become_names_and_files_are_told_apart(tmp_path):
    for user in (1600, 1601):
        rows = lines(user, "M", 100, 30) + lines(user, "N", 200, 30)
        (tmp_path / f"data_{user}_accel_watch.txt").write_text("\n".join(rows) + "\n")
    recordings, report = read(tmp_path, source="auto")
    assert report.source == "wisdm-2019"
    assert [(r.user, r.activity) for r in recordings] == [("1600", "kicking"), ("1601", "kicking")]
    places = [(file.name[5:9], n) for file, n in report.lines("unknown-activity")]
    assert places == [(user, n) for user in ("1600", "1601") for n in range(31, 61)]


def test_same_samples_under_two_activities_are_left_out(tmp_path):
    shared = lines(5, "Sitting", 100, 60)
    path = write(
        tmp_path, shared, [s.replace("Sitting", "Standing") for s in shared[30:]], [shared[0]]
    )
    recordings, report = read(path)
    assert report.counts() == {"repeated-row": 1, "two-activities": 60}
    assert [(r.activity, len(r.samples)) for r in recordings] == [("sitting", 30)]


def test_fingerprint_changes_with_any_sample_and_repeats_otherwise(tmp_path):
    path = write(tmp_path, lines(5, "Walking", 10, 30))
    first, second = (fingerprint(read(path)[0]) for _ in range(2))
    assert first == second
    path.write_text(path.read_text().replace("1.29,", "1.30,"))
    assert fingerprint(read(path)[0]) != first


def test_summary_counts_users_minutes_rates_and_defects(tmp_path):
    path = write(
        tmp_path,
        lines(5, "Sitting", 100, 1200),
        lines(5, "Walking", 200, 600),
        lines(7, "Walking", 10, 1200, step_s=0.02),
        ["", ""],
    )
    summary = summarize(*read(path))
    activities = summary.activities.set_index("activity")
    assert activities.loc["walking", "users"] == 2
    assert activities.loc["sitting", "minutes"] == pytest.approx(1.0)
    assert activities.loc["walking", "minutes"] == pytest.approx(0.5 + 0.4, abs=0.001)
    assert summary.users["user"].tolist() == ["5", "7"]
    assert summary.users["activities"].tolist() == [2, 1]
    assert summary.users["native_rates_hz"].tolist() == ["20.0", "50.0"]
    defect = summary.defects.iloc[0]
    assert (defect["reason"], defect["rows"], defect["kept"]) == ("blank-line", 2, False)
    assert defect["first_places"] == "WISDM_ar_v1.1_raw.txt:3001, WISDM_ar_v1.1_raw.txt:3002"


@settings(max_examples=150)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.one_of(
                st.builds(
                    "{},{},{},{},0,9.8;\n".format,
                    st.sampled_from([5, 7]),
                    st.sampled_from(["Walking", "Sitting", "Flying"]),
                    st.integers(0, 60).map(lambda n: n * SECOND // 10),
                    st.integers(-2, 2),
                ),
                st.sampled_from(["\n", ";", "5,Walking,", "\r\n", "x"]),
            ),
            max_size=120,
        ).map(lambda parts: "".join(parts).encode()),
    ),
    source=st.sampled_from(SOURCES),
)
def test_any_bytes_are_read_and_accounted_for_or_refused(tmp_path_factory, data, source):
    path = tmp_path_factory.mktemp("any") / "raw.txt"
    path.write_bytes(data)
    try:
        recordings, report = read(path, source=source)
    except BadRecordings:
        return
    assert report.rows_kept + report.rows_rejected() == report.rows_read
    for recording in recordings:
        assert np.isfinite(recording.samples).all()
        assert (np.diff(recording.segment_starts) >= 20).all()
        assert (np.diff(recording.segment_times_s) >= 0).all()


def test_real_series_that_changes_its_rate_comes_out_at_20_hz(wisdm_watch):
    """1609 K: 6,072 rows in 179.9 s, at 20 Hz for about two thirds of the time, else at 100 Hz."""
    recordings, report = read(wisdm_watch / "data_1609_accel_watch.txt", source="auto")
    drinking = next(r for r in recordings if r.activity == "drinking")
    assert drinking.segment_starts.tolist() == [0]
    assert len(drinking.samples) == pytest.approx(179.9 * 20, abs=2)
    assert report.native_rates_hz["1609", "drinking"] == pytest.approx((20.0, 100.0), rel=0.02)
    assert report.rows_read == report.rows_kept == 69_657


def test_real_rows_labelled_kicking_and_catch_at_once_are_rejected(wisdm_watch):
    """1649: lines 45993-47152 (kicking) hold the same samples as 47153-48312 (catch)."""
    path = wisdm_watch / "data_1649_accel_watch.txt"
    recordings, report = read(path, source="auto", activities=["kicking", "catch"])
    assert [n for _, n in report.lines("two-activities")] == list(range(45993, 48313))
    assert report.rows_kept + report.rows_rejected() == report.rows_read == 65_166
    kicking = next(r for r in recordings if r.activity == "kicking")
    assert kicking.segment_starts.size == 6


def test_real_folder_has_36_people_and_18_activities(wisdm_watch):
    recordings, report = read(wisdm_watch, source="auto", users=3)
    assert len(report.files) == 36
    assert report.rows_read == 2_362_069
    assert [r.user for r in recordings[::18]] == ["1600", "1601", "1602"]
    assert len(recordings) == 54
    for recording in recordings:
        assert len(recording.samples) == pytest.approx(180 * 20, rel=0.01)
        gravity = np.linalg.norm(recording.samples, axis=1).mean()
        assert 9.0 < gravity < 30.0
