"""A user's recordings are written as WISDM writes them, and read again as they were."""

import numpy as np
import pytest

from clients.errors import BadInput
from clients.recordings import Recording, read_recordings
from clients.synthetic import synthesize
from clients.wisdm.writer import write_recordings

FIVE = ("walking", "jogging", "stairs", "sitting", "standing")
SIX = ("walking", "jogging", "upstairs", "downstairs", "sitting", "standing")


def read_again(folder, activities):
    return read_recordings(folder, source="auto", rate_hz=20.0, activities=activities)


@pytest.mark.parametrize(
    ("activities", "name"),
    [(FIVE, "data_1607_accel_watch.txt"), (SIX, "WISDM_ar_v1.1_raw.txt")],
)
def test_what_is_read_is_what_was_written(tmp_path, activities, name):
    made = synthesize(1, activities, rate_hz=20.0, seed=3, minutes=0.5)
    assert write_recordings(made, 1607, tmp_path / "one") == tmp_path / "one" / name
    found, report = read_again(tmp_path / "one", activities)
    assert report.rows_kept == report.rows_read == sum(len(each.samples) for each in made)
    made = sorted(made, key=lambda each: each.activity)
    assert [each.activity for each in found] == [each.activity for each in made]
    for one, other in zip(found, made, strict=True):
        assert one.user == "1607"
        # Times are whole nanoseconds, so that a sample may lie a rounding beside the grid.
        np.testing.assert_allclose(one.samples, other.samples, rtol=0, atol=1e-4)
        assert one.segment_starts.tolist() == other.segment_starts.tolist()


def test_gaps_stay_where_they_were(tmp_path):
    samples = np.random.default_rng(1).normal(0.0, 5.0, (100, 3)).astype(np.float32)
    starts, times = np.array([0, 40]), np.array([0.0, 500.25])
    made = Recording("1", "walking", 20.0, samples, starts, times)
    write_recordings([made], 1, tmp_path / "one")
    ((found,), _) = read_again(tmp_path / "one", ("walking",))
    assert found.segment_starts.tolist() == [0, 40]
    assert found.segment_times_s.tolist() == [0.0, 500.25]
    np.testing.assert_allclose(found.samples, samples, rtol=0, atol=1e-4)


def test_activities_of_which_no_form_has_all_are_refused(tmp_path):
    made = synthesize(1, FIVE, rate_hz=20.0, seed=3, minutes=0.1)
    other = synthesize(1, ("upstairs",), rate_hz=20.0, seed=3, minutes=0.1)
    with pytest.raises(BadInput, match="WISDM writes stairs, or upstairs and downstairs"):
        write_recordings([*made, *other], 1600, tmp_path / "one")
    assert not (tmp_path / "one").exists()
