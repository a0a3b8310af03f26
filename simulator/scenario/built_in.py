"""The programs that are built in, and what they are given."""

from __future__ import annotations

from clients.plugins import MODELS, plugin_names

__all__ = ["FEATURE_ROWS", "PROGRAMS", "ROWS", "SINGLE_SAMPLES", "programs"]

PROGRAMS = (
    "bilstm", "cnn", "cnn_norm", "dense", "features", "gravity_cnn", "gravity_cnn_small", "gru",
    "tracker_dense", "tracker_lstm",
)  # fmt: skip

ROWS = ("dense", "features")
"""Programs that can look at a row of features."""

SINGLE_SAMPLES = ("tracker_dense", "tracker_lstm")
"""Programs that follow single samples: they have no windows, whatever the scenario says."""

FEATURE_ROWS = {
    "data": {"rate_hz": 0.1, "window_s": 10.0, "hop_s": 10.0},
    "training": {"warp": 1.0, "tilt_deg": 0.0, "gain": 1.0, "noise": 0.0, "mirror": 0.0},
}
"""What holds for a table of features, and cannot be otherwise: a row is one window of 10 s."""


def programs() -> tuple[str, ...]:
    """Return the names of the programs that are built in, and those that other packages add."""
    return (*PROGRAMS, *plugin_names(MODELS, PROGRAMS))
