"""Real data for tests; it lies beside the repository, never in it."""

import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is the machine's business.
settings.register_profile("whatever the time", deadline=None)
settings.load_profile("whatever the time")

WISDM = Path(__file__).resolve().parents[2] / "shared" / "wisdm"


def _present(path: Path) -> Path:
    if not path.exists():
        # The recordings must never be in the repository, so a checkout alone has none.
        pytest.skip(f"{path} is absent: tests on real WISDM data are skipped")
    return path


@pytest.fixture(scope="session")
def wisdm_watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the 36 files `data_<user>_accel_watch.txt` of WISDM 2019."""
    archive = _present(WISDM / "wisdm2019-watch.tar.xz")
    folder = tmp_path_factory.mktemp("wisdm2019")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "watch"


@pytest.fixture(scope="session")
def wisdm_features() -> Path:
    """Give the path of the v1.1 feature table."""
    return _present(WISDM / "v1.1" / "WISDM_ar_v1.1_transformed.arff")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let TensorFlow compute as workers do, before any test starts it."""
    computes = any("fleet" in getattr(item, "fixturenames", ()) for item in session.items)
    if computes or "tensorflow" in sys.modules:
        from simulator.cohort.worker import use_one_thread

        use_one_thread()
