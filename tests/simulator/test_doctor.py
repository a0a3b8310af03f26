"""What is looked at on a machine, and what is advised."""

import sys
from collections import namedtuple
from pathlib import Path

import pytest

from clients.errors import BadInput
from simulator import doctor
from simulator.commands import machine
from simulator.doctor import look
from simulator.licences import Licence, licences


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Spare most tests what imports all packages."""
    monkeypatch.setattr(doctor, "_broken", lambda _: {})


def found(tmp_path):
    return {one.what: one for one in look(tmp_path, quick=True)}


def test_this_machine_is_fit(tmp_path):
    verdicts = {what: one.verdict for what, one in found(tmp_path).items()}
    assert {what for what, verdict in verdicts.items() if verdict == "fails"} == set()
    assert {"Python", "packages", "imports", "memory", "disk"} <= verdicts.keys()


def test_a_package_of_another_version_fails_with_the_command_that_mends_it(tmp_path, monkeypatch):
    usual = doctor.version
    monkeypatch.setattr(doctor, "version", lambda n: "0.1" if n == "numpy" else usual(n))
    numpy = found(tmp_path)["numpy"]
    assert (numpy.verdict, numpy.found) == ("fails", "0.1")
    assert numpy.advice.startswith('python -m pip install "numpy>=')


def test_a_package_that_hides_wearfleets_fails(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "server")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    imports = found(tmp_path)["imports"]
    assert imports.verdict == "fails"
    assert str(tmp_path / "server") in imports.found


def test_little_disk_is_noted(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(2**40, 2**40, 2**29))
    disk = found(tmp_path)["disk"]
    assert (disk.verdict, disk.found.split()[0]) == ("note", "0.5")


BROKEN = doctor._broken


def test_packages_that_cannot_be_imported_are_named_with_what_they_say(tmp_path, monkeypatch):
    (tmp_path / "pandas.py").write_text("print('hear'); raise ImportError('no\\nway')")
    (tmp_path / "resvg_py.py").write_text("raise SystemExit(0)")
    (tmp_path / "ray.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked = []
    monkeypatch.setattr(
        doctor,
        "_broken",
        lambda names: asked.extend(names) or BROKEN(["typer", "pandas", "resvg-py", "ray"]),
    )
    rows = found(tmp_path)
    assert {"tensorflow", "flwr", "pandas", "pydantic", "ray"} <= {*asked}
    assert "packages" not in rows
    assert "typer" not in rows
    assert rows["pandas"][1:3] == ("fails", "cannot be imported (ImportError: no way)")
    assert rows["resvg-py"][1:3] == ("fails", "cannot be imported (SystemExit: 0)")
    assert rows["ray"][1:3] == ("note", "cannot be imported (the process ended)")
    assert "`--workers 1` need no Ray" in rows["ray"].advice


def test_without_ray_some_runs_work(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_PARALLEL", "raise SystemExit('no')")
    monkeypatch.setattr(doctor, "_COMPUTE", "raise SystemExit('no')")
    verdicts = {one.what: one.verdict for one in look(tmp_path)}
    assert (verdicts["TensorFlow"], verdicts["Ray"]) == ("fails", "note")


def test_a_working_folder_that_is_gone_is_told(monkeypatch):
    def gone():
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(machine.Path, "cwd", gone)
    with pytest.raises(BadInput, match="the folder in which this was started is gone"):
        machine.doctor(quick=True)


def _little_memory(monkeypatch, tmp_path):
    group = tmp_path / "pod" / "own"
    group.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("1:cpu:/\n0::/pod/own\n")
    for folder, most in ((group, "max"), (group.parent, str(2**30))):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{2**29 + 2**28}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {2**28}\n")
    monkeypatch.setattr(doctor, "_CGROUP", tmp_path)
    monkeypatch.setattr(doctor, "_OWN_CGROUP", tmp_path / "cgroup")


def _little_shared_memory(monkeypatch, _):
    usage, usual = namedtuple("usage", "total used free"), doctor.shutil.disk_usage
    monkeypatch.setattr(
        doctor.shutil,
        "disk_usage",
        lambda at: usage(2**30, 0, 2**26) if at == Path("/dev/shm") else usual(at),
    )


def _few_files(monkeypatch, _):
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (256, 4096))


def _no_nginx(monkeypatch, _):
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)


@pytest.mark.parametrize(
    ("little", "what", "told"),
    [
        (_little_memory, "memory", "0.5 of 1.0 GiB free (as this container may use)"),
        (_little_shared_memory, "shared memory", "0.06 GiB in /dev/shm"),
        (_few_files, "open files", "256 at once"),
        (_no_nginx, "nginx", "not installed"),
    ],
)
def test_what_is_little_is_noted_with_what_to_do(tmp_path, monkeypatch, little, what, told):
    little(monkeypatch, tmp_path)
    row = found(tmp_path)[what]
    assert row[1:3] == ("note", told)
    assert row.advice


def test_code_that_fails_in_a_process_of_its_own_tells_its_last_line():
    tried = doctor._tried("it", "print('no'); raise SystemExit('it cannot')", "it works", "mend it")
    assert tried == ("it", "fails", "it cannot", "mend it")


def test_licences_are_of_all_that_is_needed_by_what_is_needed():
    rows = licences()
    names = [row.package for row in rows]
    assert names == sorted(names)
    assert {"tensorflow", "absl-py", "ray", "flwr"} <= set(names)  # absl-py by way of tensorflow
    assert "pytest" not in names
    assert all(row.licence for row in rows)
    assert Licence("numpy", doctor.version("numpy"), rows[names.index("numpy")].licence) in rows


def test_an_import_that_hangs_or_ends_the_process_hides_none_behind_it(tmp_path, monkeypatch):
    (tmp_path / "pandas.py").write_text("import time; time.sleep(60)")
    (tmp_path / "ray.py").write_text("import os; os._exit(3)")
    (tmp_path / "rich.py").write_text("raise ImportError('no way')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "_LONGEST_S", 2.0)
    assert BROKEN(["pandas", "ray", "rich", "tomli-w"]) == {
        "pandas": "nothing after 2 s",
        "ray": "the process ended",
        "rich": "ImportError: no way",
    }
