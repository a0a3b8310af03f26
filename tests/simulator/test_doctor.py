"""What is looked at on a machine, and what is advised."""

import sys
from collections import namedtuple

from simulator import doctor
from simulator.doctor import look
from simulator.licences import Licence, licences


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
