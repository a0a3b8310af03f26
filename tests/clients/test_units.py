"""Whether samples are in m/s², in g, or no accelerations: told from gravity."""

import numpy as np
import pytest

from clients.recordings import read_recordings
from clients.synthetic import synthesize
from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.rows import Rows
from clients.wisdm.units import STANDARD_GRAVITY, m_s2_per_unit, unify_units


def resting(rows, gravity, tilt_deg=30.0):
    """A device that lies still: every sample is gravity, and 1% of it as noise."""
    tilt = np.radians(tilt_deg)
    noise = np.random.default_rng(1).normal(0.0, 0.01 * gravity, (rows, 3))
    return (gravity * np.array([np.sin(tilt), np.cos(tilt), 0.0]) + noise).astype(np.float32)


def stepping(rows, gravity, push):
    """Two steps a second at 20 Hz: `push` times gravity up and down, upon gravity."""
    swing = push * gravity * np.sin(2 * np.pi * 2.0 * np.arange(rows) / 20.0)
    return np.stack([0.2 * swing, gravity + swing, 0.1 * swing], axis=1).astype(np.float32)


def turning(rows, bias=0.36, swing=2.0):
    """A gyroscope in a pocket, rad/s: the thigh swings, and the zero of one axis is off."""
    turn = swing * np.sin(2 * np.pi * np.arange(rows) / 20.0)
    return np.stack([turn, -bias - turn, 0.2 * turn], axis=1).astype(np.float32)


@pytest.mark.parametrize("gravity", [0.92, 1.0, 1.08])
def test_rest_at_1_is_g_and_rest_at_10_is_m_s2(gravity):
    """Phones of the time are off by up to a tenth."""
    assert m_s2_per_unit([resting(400, gravity)]) == STANDARD_GRAVITY
    assert m_s2_per_unit([resting(400, gravity * 9.81)]) == 1.0


@pytest.mark.parametrize("push", [0.3, 1.0, 1.8])
def test_unit_is_told_in_motion_too(push):
    assert m_s2_per_unit([stepping(2000, 1.0, push)]) == STANDARD_GRAVITY
    assert m_s2_per_unit([stepping(2000, 9.81, push)]) == 1.0


def test_turns_are_no_accelerations():
    assert m_s2_per_unit([turning(1000)]) is None
    assert m_s2_per_unit([turning(1000, swing=6.0)]) is None
    assert m_s2_per_unit([resting(400, 0.01)]) is None  # a gyroscope at rest


def test_acceleration_without_gravity_is_left_out():
    assert m_s2_per_unit([stepping(1000, 9.81, 1.0) - np.float32([0.0, 9.81, 0.0])]) is None


def test_a_few_wild_rows_do_not_decide():
    samples = resting(1000, 9.81)
    samples[::50] = 190.0
    assert m_s2_per_unit([samples]) == 1.0
    samples = resting(1000, 1.0)
    samples[:400] *= 150.0  # two blocks of five
    assert m_s2_per_unit([samples]) == STANDARD_GRAVITY


def test_orientation_may_change_between_series():
    """The mean over both is 0; gravity is there all the same."""
    down, up = resting(400, 9.81), -resting(400, 9.81)
    assert m_s2_per_unit([down, up]) == 1.0


@pytest.mark.parametrize("rows", [1, 3, 299, 301])
def test_any_number_of_rows_has_a_unit(rows):
    assert m_s2_per_unit([resting(rows, 1.0), resting(0, 1.0)]) == STANDARD_GRAVITY


def rows_of(samples, user, first_line):
    n = len(samples)
    return Rows(
        file=np.zeros(n, np.uint32),
        line=np.arange(first_line, first_line + n, dtype=np.uint32),
        user=np.full(n, user, np.int32),
        activity=np.zeros(n, np.int8),
        time=np.arange(1, n + 1, dtype=np.int64),
        samples=samples,
    )


def test_each_user_is_judged_by_all_own_series_and_told():
    g, m_s2 = resting(300, 1.0), resting(300, 9.81)
    by_user = {
        "20": {"sitting": [rows_of(g[:150], 20, 1), rows_of(g[150:], 20, 151)]},
        "3": {"sitting": [rows_of(m_s2, 3, 301)], "walking": [rows_of(m_s2, 3, 601)]},
        "7": {"walking": [rows_of(turning(300), 7, 901)]},
    }
    log = DefectLog()
    unified, note = unify_units(by_user, log)
    assert list(unified) == ["3", "20"]
    (sitting,) = unified["20"]["sitting"]
    np.testing.assert_allclose(sitting.samples, g * np.float32(9.80665), rtol=1e-6)
    assert sitting.line.tolist() == list(range(1, 301))
    np.testing.assert_array_equal(unified["3"]["walking"][0].samples, m_s2)
    assert note == (
        "Units of 3 users, told from gravity: 1 in m/s²; 1 in g, converted (20); 1 in neither, "
        "left out (7)."
    )
    reasons, _, lines = log.arrays()
    assert set(reasons.tolist()) == {Reason.NO_GRAVITY}
    assert lines.tolist() == list(range(901, 1201))


def test_limit_of_200_m_s2_holds_after_the_conversion():
    samples = resting(300, 1.0)
    samples[10] = [21.0, 0.0, 0.0]  # 205.9 m/s²
    samples[11] = [20.0, 0.0, 0.0]  # 196.1 m/s²
    log = DefectLog()
    unified, _ = unify_units({"5": {"sitting": [rows_of(samples, 5, 1)]}}, log)
    reasons, _, lines = log.arrays()
    assert (reasons.tolist(), lines.tolist()) == ([Reason.BAD_SAMPLE], [11])
    assert unified["5"]["sitting"][0].line.size == 299


def test_many_users_are_counted_and_the_first_ten_named():
    by_user = {str(u): {"sitting": [rows_of(resting(30, 1.0), u, 1)]} for u in range(101, 113)}
    _, note = unify_units(by_user, DefectLog())
    assert "12 in g, converted (101, 102, 103," in note
    assert "110 and 2 more); 0 in neither, left out." in note


def write_watch(folder, user, scale, gravity=True):
    """Write a minute of somebody who walks, as WISDM 2019 has it, in some unit."""
    samples = synthesize(1, ["walking"], rate_hz=20.0, seed=user, minutes=1.0)[0].samples
    if not gravity:
        samples = samples - samples.mean(axis=0)
    lines = [
        f"{user},A,{10**9 + 50_000_000 * row},{x * scale},{y * scale},{z * scale};"
        for row, (x, y, z) in enumerate(samples.tolist())
    ]
    (folder / f"data_{user}_accel_watch.txt").write_text("\n".join(lines) + "\n")


def test_of_a_source_that_promises_m_s2_other_units_are_warned_of_and_taken_as_they_are(tmp_path):
    write_watch(tmp_path, 1, 1.0)
    _, report = read_recordings(tmp_path, source="auto", rate_hz=20.0)
    assert report.warnings == ()
    write_watch(tmp_path, 2, 1 / STANDARD_GRAVITY)
    write_watch(tmp_path, 3, 1.0, gravity=False)
    recordings, report = read_recordings(tmp_path, source="auto", rate_hz=20.0)
    in_g, neither = report.warnings
    assert in_g.startswith("1 of 3 users look like g, and are taken for m/s² (2): multiply x, y")
    assert neither.startswith("1 of 3 users show no gravity, in m/s² or in g (3):")
    norms = [np.median(np.linalg.norm(r.samples, axis=1)) for r in recordings]
    assert norms[0] > 8.0
    assert norms[1] < 1.5
    _, report = read_recordings(tmp_path, source="auto", rate_hz=20.0, users=["1"])
    assert report.warnings == ()
