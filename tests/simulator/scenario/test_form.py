"""What a scenario's program is given: windows, or single samples."""

import pytest

from clients.errors import BadInput, BadProgram, BadScenario
from clients.program import Program
from clients.trial import least_batch
from simulator.scenario.form import Form, form_of
from simulator.scenario.scenario import FEATURE_ROWS, PROGRAMS, SINGLE_SAMPLES, Scenario
from tests.clients import keras_programs
from tests.clients.made_programs import saved

TWO = ["walking", "sitting"]


def scenario(program, batch=8, training=None, **data):
    return Scenario.model_validate(
        {
            "name": "x",
            "seed": 5,
            "data": {"users": 4, **data},
            "model": {"program": str(program), "base": "random"},
            "training": training or {},
            "stream": {"batch": batch},
            "arms": [{"name": "own", "method": "local"}],
        }
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Give the path of a program by its builder's name; each is built once."""
    folder = tmp_path_factory.mktemp("form")

    def of(name):
        path = folder / name
        if not path.exists():
            saved(path) if name == "linear" else getattr(keras_programs, name)(path)
        return path

    return of


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - set(SINGLE_SAMPLES)))
def test_programs_of_windows_are_given_windows_as_the_scenario_cuts_them(name):
    assert form_of(scenario(name)) == Form(80, 80, 1)
    assert form_of(scenario(name, window_s=2.5, hop_s=0.5)) == Form(50, 10, 1)
    # 2.56 s at 25 Hz are 64 samples, and 1.01 s are 25.25.
    assert form_of(scenario(name, rate_hz=25.0, window_s=2.56, hop_s=1.01)) == Form(64, 25, 1)


@pytest.mark.parametrize("name", SINGLE_SAMPLES)
@pytest.mark.parametrize("seconds", [{}, {"window_s": 0.001, "hop_s": 0.001}, {"hop_s": 600.0}])
def test_trackers_are_given_every_sample_whatever_windows_are(name, seconds):
    assert form_of(scenario(name, **seconds)) == Form(1, 1, 1)


@pytest.mark.parametrize("hop_s", [4.0, 0.05, 0.001])
def test_windows_of_one_sample_are_single_samples(hop_s):
    assert form_of(scenario("gru", window_s=0.05, hop_s=hop_s)) == Form(1, 1, 1)
    # At 20 Hz, 0.07 s are 1.4 samples.
    assert form_of(scenario("gru", window_s=0.07, hop_s=hop_s)) == Form(1, 1, 1)


def test_a_row_of_features_is_a_window():
    where = {"source": "wisdm-v1.1-features", "path": "not looked at"}
    rows = scenario("dense", training=FEATURE_ROWS["training"], **where, **FEATURE_ROWS["data"])
    assert form_of(rows) == Form(1, 1, 1)


@pytest.mark.parametrize(
    ("seconds", "samples"),
    [
        ({"window_s": 0.02}, "0 and 80 samples"),
        ({"hop_s": 0.02}, "80 and 0 samples"),
        ({"window_s": 0.1, "hop_s": 0.02}, "2 and 0 samples"),
    ],
)
def test_windows_without_samples_and_steps_without_any_are_refused(seconds, samples):
    with pytest.raises(BadScenario) as refused:
        form_of(scenario("gru", **seconds))
    said = str(refused.value)
    assert all(f"data.{key} = {value}" in said for key, value in seconds.items())
    assert f"at 20.0 Hz that is {samples}; each must be 1 at least" in said


@pytest.mark.parametrize("seconds", [{}, {"window_s": 0.02, "hop_s": 0.02}])
def test_a_foreign_program_of_single_samples_is_given_every_one(program, seconds):
    assert form_of(scenario(program("dense_any"), **seconds)) == Form(1, 1, 1)


def test_a_fixed_batch_of_a_foreign_program_is_found(program):
    assert form_of(scenario(program("dense_of_32"), batch=32)) == Form(1, 1, 32)
    assert form_of(scenario(program("dense_of_20"), batch=20)) == Form(1, 1, 20)
    assert form_of(scenario(program("dense_any"), batch=32)) == Form(1, 1, 1)


@pytest.mark.parametrize("batch", [1, 31, 64])
def test_questions_of_another_size_than_the_fixed_one_are_refused(program, batch):
    with pytest.raises(BadProgram) as refused:
        form_of(scenario(program("dense_of_32"), batch=batch))
    assert f"stream.batch = {batch} windows" in str(refused.value)


def test_a_foreign_program_of_windows_is_given_windows_as_the_scenario_cuts_them(program):
    short = scenario(program("linear"), window_s=0.5, hop_s=0.25, activities=TWO)
    assert form_of(short) == Form(10, 5, 1)
    with pytest.raises(BadScenario, match=r"10 and 0 samples"):
        form_of(scenario(program("linear"), window_s=0.5, hop_s=0.02, activities=TWO))


def test_a_foreign_program_of_other_windows_is_refused_by_its_own_path(program):
    """Before anything is read or trained."""
    path = program("linear")
    with pytest.raises(BadScenario) as refused:
        form_of(scenario(path, activities=TWO))
    said = str(refused.value)
    assert said.startswith(f"model.program: {path} takes windows of 10 x 3, and data.window_s = 4 ")
    assert "gives 80 x 3" in said


def test_trying_a_program_leaves_what_is_on_disk(program):
    path = program("dense_of_32")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    form_of(scenario(path, batch=32))
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert least_batch(Program(path), 32) == 32


def test_what_is_no_program_is_refused(tmp_path):
    with pytest.raises(BadProgram, match="nowhere"):
        form_of(scenario(tmp_path / "nowhere"))


def test_what_a_given_program_cannot_fulfil_is_told_before_data_are_read(program):
    given = scenario(program("linear"), activities=TWO, window_s=0.5, hop_s=0.5)
    fedper = [{"name": "own", "method": "fedper"}]
    for changes, told in (
        ({"arms": fedper}, r"arms.own.private: missing.*weights.*such as private"),
        ({"model": {"program": given.model.program}}, r'set model.base = "random"'),
        (
            {"data": {"users": 4, "window_s": 0.5}},
            r"5 activities, classes 0 to 4: give it 5 classes",
        ),
    ):
        tables = given.model_dump(exclude_unset=True) | changes
        with pytest.raises(BadInput, match=told):
            form_of(Scenario.model_validate(tables))
