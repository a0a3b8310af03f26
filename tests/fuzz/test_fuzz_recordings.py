"""Malformed files of recordings."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clients.recordings import read_recordings
from clients.wisdm.features import FEATURE_NAMES
from clients.wisdm.summary import summarize
from tests.fuzz.mutations import bytes_like
from tests.fuzz.sandbox import inputs

_TIMES = [49_105_962_326_000 + 50_000_000 * i for i in range(45)]
V1 = b"".join(
    b"%d,%s,%d,%.2f,9.8,0.5;\n" % (33 + i // 25, [b"Jogging", b"Walking"][i % 50 > 24], t, i % 7)
    for i, t in enumerate(_TIMES)
)
WATCH = b"".join(
    b"1600,%s,%d,7.09,-0.5%d,8.19;\n" % (b"AB"[i // 23 : i // 23 + 1], t, i % 10)
    for i, t in enumerate(_TIMES)
)
ACTITRACKER = b"".join(
    b"194,Standing,%d,-0.38,%.2f,-1.68;\n" % (1_370_367_549_273 + 50 * i, 9.4 + i % 3)
    for i in range(45)
)
_HEADER = ["@relation x", '@attribute "UNIQUE_ID" numeric', "@attribute user numeric"]
_HEADER += [f'@attribute "{name}" numeric' for name in FEATURE_NAMES]
_HEADER += ["@attribute class {Walking, Jogging}", "@data"]
_ROWS = [
    ",".join([str(i), str(33 + i % 2), *(["0.1", "?"][i % 7 == 3] for _ in FEATURE_NAMES), name])
    for i, name in enumerate(["Walking", "Jogging", "Walking", "Walking"])
]
ARFF = "\n".join([*_HEADER, *_ROWS, ""]).encode()

FILES = {
    "wisdm-v1.1": ("WISDM_ar_v1.1_raw.txt", V1),
    "wisdm-2019": ("data_1600_accel_watch.txt", WATCH),
    "actitracker-v2.0": ("WISDM_at_v2.0_raw.txt", ACTITRACKER),
    "wisdm-v1.1-features": ("WISDM_ar_v1.1_transformed.arff", ARFF),
}


def check(sandbox, source, content, as_folder, told, rate_hz):
    """Read a file, or a folder with it, and look at what was found as `data summary` does."""
    folder = sandbox.inside / "data"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    file = folder / FILES[source][0]
    file.write_bytes(content)
    with sandbox.only_refusals(source):
        recordings, report = read_recordings(
            folder if as_folder else file, source=source if told else "auto", rate_hz=rate_hz
        )
        summarize(recordings, report)
        assert sum(1 for r in recordings) >= 1
        for recording in recordings:
            assert recording.user.isdigit()
            assert recording.segment_starts[0] == 0
            assert np.isfinite(recording.segment_times_s).all()
            if source != "wisdm-v1.1-features":
                assert np.isfinite(recording.samples).all()


RATES = st.sampled_from(
    [20.0, 20.0, 20.0, 100.0, 0.1, 1000.0, 1e-9, -1.0, 1e30, math.nan, math.inf]
)


@inputs(0.08)
@given(content=bytes_like(V1), as_folder=st.booleans(), told=st.booleans(), rate_hz=RATES)
def test_v1_1(sandbox, content, as_folder, told, rate_hz):
    check(sandbox, "wisdm-v1.1", content, as_folder, told, rate_hz)


@inputs(0.08)
@given(content=bytes_like(WATCH), as_folder=st.booleans(), told=st.booleans(), rate_hz=RATES)
def test_2019(sandbox, content, as_folder, told, rate_hz):
    check(sandbox, "wisdm-2019", content, as_folder, told, rate_hz)


@inputs(0.05)
@given(content=bytes_like(ACTITRACKER), as_folder=st.booleans(), told=st.booleans(), rate_hz=RATES)
def test_actitracker(sandbox, content, as_folder, told, rate_hz):
    check(sandbox, "actitracker-v2.0", content, as_folder, told, rate_hz)


@inputs(0.04)
@given(content=bytes_like(ARFF), as_folder=st.booleans(), told=st.booleans(), rate_hz=RATES)
def test_tables_of_features(sandbox, content, as_folder, told, rate_hz):
    check(sandbox, "wisdm-v1.1-features", content, as_folder, told, rate_hz)
