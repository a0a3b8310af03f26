"""What the devices of a fold start with, written and read again."""

import numpy as np
import pytest

from simulator.base.prepared import Parts, Prepared, Threshold
from simulator.base.prepared_files import read_prepared, write_prepared
from simulator.folder.arrays_file import read_arrays, write_arrays


@pytest.fixture
def folder(tmp_path):
    """Give a folder of base models with what a fold starts with."""
    model = tmp_path / "fold-0-adam"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(b"model")
    prepared = Prepared(
        0, "dense", {"adam": model}, {"w": np.arange(3.0)}, Parts(("head/*",)), False, None,
        {"p001": np.eye(2, dtype=np.int64)}, 5, 0.5, {}, {"ddm": Threshold(3.0)},
    )  # fmt: skip
    write_prepared(tmp_path, prepared)
    return tmp_path


def test_what_was_written_is_read(folder):
    found = read_prepared(folder, 0)
    assert found.paths == {"adam": folder / "fold-0-adam"}
    assert found.params["w"].tolist() == [0.0, 1.0, 2.0]
    assert found.parts == Parts(("head/*",))
    assert found.thresholds == {"ddm": Threshold(3.0)}
    (folder / "fold-0-adam" / "saved_model.pb").write_bytes(b"other")
    assert read_prepared(folder, 0) is None


@pytest.mark.parametrize("path", ["/etc", "../up", "..", ".", "", "fold-0-adam/..", 3, None])
def test_a_base_model_outside_of_the_folder_is_none(folder, path):
    arrays, facts = read_arrays(folder / "fold-0.safetensors")
    write_arrays(folder / "fold-0.safetensors", arrays, facts | {"paths": {"adam": path}})
    assert read_prepared(folder, 0) is None
