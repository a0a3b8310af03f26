"""WISDM Actitracker v2.0: what the app's users recorded themselves, in milliseconds."""

import numpy as np
import pytest

from clients.errors import BadRecordings
from clients.recordings import read_recordings
from clients.wisdm.sources import find_files
from clients.wisdm.summary import summarize

NAME = "WISDM_at_v2.0_raw.txt"
START_MS = 1_370_520_000_000
M_S2, G, RAD_S = (0.5, 9.75, 0.8), (0.05, 0.99, 0.08), (0.0, 0.02, 0.0)


def lines(user, activity, start_s, count, rest=M_S2, step_ms=50):
    """Write `count` clean lines of a device at rest, its x rising by a hundredth of y a line."""
    x, y, z = rest
    return [
        f"{user},{activity},{START_MS + 1000 * start_s + i * step_ms},{x + i % 10 * y / 100:.7f},"
        f"{y},{z};"
        for i in range(count)
    ]


def write(folder, *blocks, name=NAME):
    path = folder / name
    path.write_text("".join(f"{line}\n" for block in blocks for line in block))
    return path


def read(path, **options):
    return read_recordings(path, **{"source": "actitracker-v2.0", "rate_hz": 20.0, **options})


def test_milliseconds_and_own_activities_become_recordings(tmp_path):
    path = write(
        tmp_path,
        lines(194, "LyingDown", 0, 60),
        lines(194, "Stairs", 100, 80),
        lines(1802, "Walking", 50, 40),
    )
    recordings, report = read(path)
    assert [(r.user, r.activity, len(r.samples)) for r in recordings] == [
        ("194", "lying-down", 60),
        ("194", "stairs", 80),
        ("1802", "walking", 40),
    ]
    assert recordings[1].segment_times_s.tolist() == [100.0]
    assert report.native_rates_hz["194", "stairs"] == pytest.approx((20.0,))
    assert report.counts() == {}


def test_all_six_activities_have_names(tmp_path):
    written = ("Walking", "Jogging", "Stairs", "Sitting", "Standing", "LyingDown")
    path = write(tmp_path, *(lines(7, name, 60 * i, 30) for i, name in enumerate(written)))
    names = [r.activity for r in read(path)[0]]
    assert names == ["jogging", "lying-down", "sitting", "stairs", "standing", "walking"]


def test_users_in_g_come_out_as_those_in_m_s2(tmp_path):
    path = write(tmp_path, lines(3, "Sitting", 0, 60), lines(5, "Sitting", 0, 60, rest=G))
    (metric, converted), report = read(path)
    for recording in (metric, converted):
        assert np.linalg.norm(recording.samples, axis=1) == pytest.approx(9.85, abs=0.1)
    np.testing.assert_allclose(converted.samples[0], np.multiply(G, 9.80665), rtol=1e-6)
    assert report.notes == (
        "Units of 2 users, told from gravity: 1 in m/s²; 1 in g, converted (5); 0 in neither, "
        "left out.",
    )
    assert report.rows_kept == report.rows_read == 120


def test_user_without_gravity_is_left_out_before_users_are_chosen(tmp_path):
    path = write(
        tmp_path,
        lines(3, "Walking", 0, 60, rest=RAD_S),
        lines(5, "Walking", 0, 60),
        lines(7, "Walking", 0, 60),
    )
    recordings, report = read(path, users=2)
    assert [r.user for r in recordings] == ["5", "7"]
    assert report.counts() == {"no-gravity": 60}
    assert (report.rows_kept, report.rows_rejected()) == (120, 60)
    with pytest.raises(BadRecordings, match="no user '3' in the data"):
        read(path, users=["3"])


def test_only_this_source_looks_for_gravity(tmp_path):
    path = write(tmp_path, lines(5, "Walking", 0, 60, rest=RAD_S, step_ms=50_000_000))
    recordings, report = read(path, source="wisdm-v1.1")
    assert report.notes == ()
    assert recordings[0].samples[0].tolist() == pytest.approx(RAD_S)


def test_published_dirt_is_accounted_for_line_by_line(tmp_path):
    good = lines(599, "Walking", 0, 60)
    path = write(
        tmp_path,
        good[:10],
        ["599", "599,"],  # lines 11, 12: 24,646 lines of the published file hold a user alone
        good[10:20],  # 13 to 22
        ["599,Walking,1370520001000,144413671000000000,1,5.9150805E20;"],  # 23
        ["599,NoLabel,1370520001000,1,2,3;"],  # 24
        ["599,Walking,0,0,9.8,0;"],  # 25
        good[20:],  # 26 to 65
        lines(599, "Sitting", 100, 1500, step_ms=1),  # 66 to 1565: times made up
    )
    with path.open("a") as file:
        file.write("599,Walking,13705200")
    recordings, report = read(path)
    places = {reason: [n for _, n in report.lines(reason)] for reason in report.counts()}
    assert places.pop("too-fast") == list(range(66, 1566))
    assert places == {
        "malformed": [11, 12],
        "bad-sample": [23],
        "unknown-activity": [24],
        "zero-time": [25],
        "cut-off": [1566],
    }
    assert [(r.activity, len(r.samples)) for r in recordings] == [("walking", 60)]
    assert report.rows_kept + report.rows_rejected() == report.rows_read == 1566


def test_file_of_users_without_gravity_alone_is_refused(tmp_path):
    path = write(tmp_path, lines(3, "Walking", 0, 60, rest=RAD_S))
    with pytest.raises(BadRecordings, match=r"no valid row of actitracker-v2\.0.*60 no-gravity"):
        read(path)


def test_summary_names_lying_down(tmp_path):
    path = write(tmp_path, lines(5, "LyingDown", 0, 1200, rest=G), lines(7, "Walking", 0, 600))
    summary = summarize(*read(path, source="auto"))
    activities = summary.activities.set_index("activity")
    assert activities.loc["lying-down", "minutes"] == pytest.approx(1.0)
    assert summary.users["user"].tolist() == ["5", "7"]
    assert summary.users["native_rates_hz"].tolist() == ["20.0", "20.0"]


def v1(activity, count=30, uptime_ns=1_384_232_280_000):
    """Lines of v1.1 whose timestamps have 13 digits, as milliseconds since 1970 have."""
    return [f"15,{activity},{uptime_ns + i * 50_000_000},-2.87,10.15,-4.67;" for i in range(count)]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (lines(5, "Walking", 0, 30), "actitracker-v2.0"),
        (lines(5, "Walking", 0, 1), "actitracker-v2.0"),
        (lines(5, "Walking", 0, 30, step_ms=1), "actitracker-v2.0"),
        (["5", "5", *lines(5, "Sitting", 0, 30), *lines(5, "Walking", 90, 2)], "actitracker-v2.0"),
        (lines(5, "LyingDown", 0, 1, step_ms=1), "actitracker-v2.0"),
        (v1("Walking"), "wisdm-v1.1"),
        (v1("Walking", uptime_ns=49_105_962_326_000), "wisdm-v1.1"),
        (v1("Walking", 1, uptime_ns=49_105_962_326_000), "wisdm-v1.1"),
        (["15,Walking,0,0,0,0;", *v1("Jogging")], "wisdm-v1.1"),
        (v1("Upstairs", 1), "wisdm-v1.1"),
    ],
)
def test_it_is_told_from_v1_whatever_the_name(tmp_path, text, source):
    path = write(tmp_path, text, name="some.dat")
    assert find_files(path, "auto").source == source


def test_it_is_found_in_its_folder_among_the_other_files(tmp_path):
    below = tmp_path / "WISDM_at_v2.0"
    below.mkdir()
    path = write(below, lines(5, "Walking", 0, 30))
    write(below, ["5,NoLabel,1370520000000,1,2,3;"], name="WISDM_at_v2.0_unlabeled_raw.txt")
    write(below, ["@relation x"], name="WISDM_at_v2.0_transformed.arff")
    for source in ("auto", "actitracker-v2.0"):
        found = find_files(tmp_path, source)
        assert (found.source, found.files) == ("actitracker-v2.0", (path,))


@pytest.mark.parametrize("source", ["auto", "actitracker-v2.0"])
@pytest.mark.parametrize(
    "name",
    [
        "WISDM_at_v2.0_unlabeled_raw.txt",
        "WISDM_at_v2.0_transformed.arff",
        "WISDM_at_v2.0_unlabeled_transformed.arff",
        "WISDM_at_v2.0_raw_about.txt",
        "WISDM_at_v2.0_demographics.txt",
    ],
)
def test_other_files_of_the_archive_alone_are_refused_by_name(tmp_path, source, name):
    path = write(tmp_path, ["5,NoLabel,1370520000000,1,2,3;"], name=name)
    for given in (path, tmp_path):
        with pytest.raises(BadRecordings) as refused:
            find_files(given, source)
        assert name in str(refused.value)
        assert "without labelled rows" in str(refused.value)
        assert "expected WISDM_at_v2.0_raw.txt" in str(refused.value)


def test_beside_v1_it_has_to_be_named(tmp_path):
    path = write(tmp_path, lines(5, "Walking", 0, 30))
    write(tmp_path, v1("Walking"), name="WISDM_ar_v1.1_raw.txt")
    with pytest.raises(BadRecordings, match=r"wisdm-v1\.1 and actitracker-v2\.0; expected one"):
        find_files(tmp_path, "auto")
    assert find_files(tmp_path, "actitracker-v2.0").files == (path,)
