"""Data sets that are fetched, from a server on this machine."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import threading
import tracemalloc
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from clients.errors import BadInput, RunFailed
from simulator.cli import app
from simulator.downloads import fetch_data

LINE = b"33,Jogging,49105962326000,-0.69,12.68,0.50;\n"


def tar_of(**files):
    """Pack files, name -> content, with a link and a folder beside them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as bundle:
        link = tarfile.TarInfo("way/out")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zip_of(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def site():
    """Serve what is put under /name; a content may be told to break off."""
    served = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = served.get(self.path)
            if found is None:
                self.send_error(404)
                return
            content, announced = found
            self.send_response(200)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class Site:
        root = f"http://127.0.0.1:{server.server_address[1]}"

        def put(self, content, announced=None):
            served["/data"] = (content, len(content) if announced is None else announced)
            return f"{self.root}/data"

    yield Site()
    server.shutdown()
    server.server_close()


def fetch(out, address, name="wisdm-v1.1"):
    return fetch_data(name, out, address, lambda _: None)


def left_in(folder):
    """List what is in a folder, but for the record of checksums."""
    return sorted(p.name for p in folder.iterdir() if p.name != ".fetched.json")


def test_archive_is_unpacked_without_its_links(site, tmp_path):
    out = fetch(tmp_path / "v1", site.put(tar_of(**{"WISDM/WISDM_ar_v1.1_raw.txt": LINE})))
    assert (out / "WISDM" / "WISDM_ar_v1.1_raw.txt").read_bytes() == LINE
    assert not (out / "way").exists()
    assert left_in(tmp_path) == ["v1"]


def test_archive_in_an_archive_is_unpacked_too(site, tmp_path):
    inner = zip_of(**{"raw/watch/accel/data_1600_accel_watch.txt": LINE})
    address = site.put(zip_of(**{"wisdm-dataset.zip": inner, "readme.txt": b"terms"}))
    out = fetch(tmp_path / "2019", address, "wisdm-2019")
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert files == ["readme.txt", "wisdm-dataset/raw/watch/accel/data_1600_accel_watch.txt"]


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:\\evil.txt"])
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_paths_that_lead_out_are_refused(site, tmp_path, pack, name):
    with pytest.raises(RunFailed, match="leads out of its folder"):
        fetch(tmp_path / "inner" / "v1", site.put(pack(**{name: LINE})))
    assert left_in(tmp_path / "inner") == []
    assert left_in(tmp_path) == ["inner"]


def test_second_download_must_be_the_same_bytes(site, tmp_path):
    fetch(tmp_path / "one", site.put(tar_of(a=LINE)))
    first = json.loads((tmp_path / ".fetched.json").read_text())["wisdm-v1.1"]["sha256"]
    with pytest.raises(RunFailed, match=first):
        fetch(tmp_path / "two", site.put(tar_of(a=LINE * 2)))
    assert left_in(tmp_path) == ["one"]


def test_download_that_breaks_off_leaves_nothing(site, tmp_path):
    content = tar_of(a=LINE)
    with pytest.raises(RunFailed, match=r"broke off|IncompleteRead"):
        fetch(tmp_path / "v1", site.put(content, announced=len(content) + 1000))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"not an archive", tar_of(a=LINE * 9000)[:-60]])
def test_what_is_no_archive_is_refused(site, tmp_path, content):
    with pytest.raises(RunFailed, match="cannot be unpacked"):
        fetch(tmp_path / "v1", site.put(content))
    assert left_in(tmp_path) == []


def test_zip_that_unpacks_to_too_much_is_refused(site, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for i in range(6):
            bundle.writestr(f"{i}", bytes(100 * 2**20))
    with pytest.raises(RunFailed, match="unpacks to more than 500 MiB"):
        fetch(tmp_path / "v1", site.put(packed.getvalue()))
    assert left_in(tmp_path) == []


def test_without_a_network_it_says_what_to_do(tmp_path):
    with pytest.raises(RunFailed) as failed:
        fetch(tmp_path / "v1", "http://127.0.0.1:9/data")
    assert "give its folder as data.path" in str(failed.value)
    assert "fordham.edu/wisdm/dataset.php" in str(failed.value)


def test_missing_page_says_so(site, tmp_path):
    with pytest.raises(RunFailed, match="404"):
        fetch(tmp_path / "v1", f"{site.root}/nothing")


def test_bad_names_folders_and_addresses_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"wisdm-v1\.1, wisdm-2019"):
        fetch(tmp_path / "v1", None, "wisdm")
    with pytest.raises(BadInput, match="is there already"):
        fetch(tmp_path, None)
    with pytest.raises(BadInput, match="http or https"):
        fetch(tmp_path / "v1", "file:///etc/passwd")


def test_command_fetches_and_names_the_folder(site, tmp_path):
    address = site.put(tar_of(**{"WISDM_ar_v1.1_raw.txt": LINE}))
    out = tmp_path / "v1"
    said = CliRunner().invoke(
        app, ["data", "fetch", "wisdm-v1.1", "--out", str(out), "--address", address]
    )
    assert said.exit_code == 0, said.output
    assert str(out) in said.output.replace("\n", "")
    assert (out / "WISDM_ar_v1.1_raw.txt").exists()


def nested(depth):
    """Pack archives in archives."""
    content = zip_of(a=LINE)
    for number in range(depth):
        content = zip_of(**{f"{number}.zip": content})
    return content


def headers_of(kind, size):
    """Pack a tar archive of one header that says how much comes before the first file."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, size
    packed = io.BytesIO()
    with gzip.open(packed, "wb", 1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
    return packed.getvalue()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_what_stands_before_a_file_is_not_read_whole(site, tmp_path, kind):
    address = site.put(headers_of(kind, 200 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(RunFailed, match="more than 1,048,576 bytes before a file"):
            fetch(tmp_path / "v1", address)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_what_is_skipped_counts_as_well(site, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as bundle:
        for number in range(100_001):
            link = tarfile.TarInfo(f"{number}")
            link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
            bundle.addfile(link)
    with pytest.raises(RunFailed, match="100,000 files"):
        fetch(tmp_path / "v1", site.put(packed.getvalue()))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_archive_may_be_packed_in_any_usual_way(site, tmp_path, pack):
    plain = gzip.decompress(tar_of(**{"long/" * 60 + "raw.txt": LINE, "other.txt": LINE * 9000}))
    out = fetch(tmp_path / "v1", site.put(pack(plain)))
    assert (out / ("long/" * 60) / "raw.txt").read_bytes() == LINE
    assert (out / "other.txt").read_bytes() == LINE * 9000


def test_archives_in_archives_end_somewhere(site, tmp_path):
    assert fetch(tmp_path / "two", site.put(nested(2))).is_dir()
    with pytest.raises(RunFailed, match="archives in archives in archives"):
        fetch(tmp_path / "three", site.put(nested(3)), "wisdm-2019")
    assert left_in(tmp_path) == ["two"]


def test_archives_in_an_archive_share_its_room(site, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("zeros", b"\0" * (150 * 2**20))
    large = packed.getvalue()
    one, many = ({f"{i}.zip": large for i in range(count)} for count in (1, 4))
    assert fetch(tmp_path / "one", site.put(zip_of(**one))).is_dir()
    (tmp_path / ".fetched.json").unlink()
    with pytest.raises(RunFailed, match="unpacks to more than 500 MiB"):
        fetch(tmp_path / "many", site.put(zip_of(**many)))


@pytest.mark.parametrize("name", [".", "a" * 5000])
def test_names_that_are_none_are_refused(site, tmp_path, name):
    with pytest.raises(RunFailed):
        fetch(tmp_path / "v1", site.put(tar_of(**{name: LINE})))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("cut", [20, 60, 100])
def test_an_archive_that_is_damaged_inside_is_refused(site, tmp_path, cut):
    content = bytearray(tar_of(a=LINE * 100))
    content[cut : cut + 20] = b"\xff" * 20
    with pytest.raises(RunFailed):
        fetch(tmp_path / "v1", site.put(bytes(content)))
    assert left_in(tmp_path) == []
