"""Parts of a deployed fleet: its folder, its processes, its certificates."""

import os
import re
import shutil
import socket
import ssl
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from server.deploy.certificates import make_authority, make_certificate, make_node_key
from server.deploy.fleet import lay_out, start, start_server, stop
from server.deploy.folder import PROXY, SUPERLINK, FleetFolder, open_fleet
from server.deploy.processes import Service, wait_until
from server.deploy.proxy import write_proxy_settings
from server.deploy.services import service, services


@pytest.fixture
def fleet(tmp_path):
    made = FleetFolder(
        tmp_path / "a fleet", ("localhost",), "127.0.0.1", 9443, 18000, {"1600": 19100}
    )
    made.path.mkdir()
    made.save()
    return made


def free_ports(count):
    """Return ports of loopback that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_a_fleet_is_what_was_written_down(fleet):
    assert open_fleet(fleet.path) == fleet
    (site,) = fleet.sites
    assert (site.name, site.port) == ("1600", 19100)
    assert list(services(fleet)) == [SUPERLINK, PROXY, "1600"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"hosts": []}'])
def test_a_folder_without_a_fleet_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "fleet.json").write_text(content)
    with pytest.raises(ValueError, match=r"no fleet in it .*deploy new|not the settings of a"):
        open_fleet(tmp_path)


def test_an_unknown_process_is_named_with_those_that_there_are(fleet):
    with pytest.raises(ValueError, match=r"1601: no process .* there are superlink, proxy, 1600"):
        service(fleet, "1601")


def test_the_superlink_is_called_with_tls_authentication_and_loopback_alone(fleet):
    command = list(service(fleet, SUPERLINK).command)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "--enable-supernode-auth" in command
    assert "--insecure" not in command


def test_settings_of_the_proxy_are_whole(fleet):
    text = write_proxy_settings(fleet).read_text()
    assert "listen 127.0.0.1:9443 ssl;" in text
    assert "proxy_pass https://superlink/v1/fleet/$route;" in text
    assert f'ssl_certificate_key "{fleet.path}/pki/proxy.key";' in text


@pytest.mark.parametrize(
    ("address", "places"),
    [
        ("127.0.0.1", ["127.0.0.1:9443"]),
        ("0.0.0.0", ["0.0.0.0:9443"]),
        ("192.0.2.7", ["192.0.2.7:9443", "127.0.0.1:9443"]),
        ("::", ["[::]:9443", "127.0.0.1:9443"]),
        ("2001:DB8:0::1", ["[2001:db8::1]:9443", "127.0.0.1:9443"]),
    ],
)
def test_the_proxy_listens_on_loopback_as_well(fleet, address, places):
    text = write_proxy_settings(replace(fleet, address=address)).read_text()
    assert re.findall(r"listen (\S+) ssl;", text) == places


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_a_proxy_on_another_address_comes_up(fleet, address):
    outside, superlink = free_ports(2)
    elsewhere = replace(fleet, address=address, port=outside, superlink_port=superlink)
    shutil.rmtree(fleet.path)
    lay_out(elsewhere, 30)
    try:
        start(elsewhere, [PROXY], lambda _: None)
        for each in (address, "127.0.0.1"):
            socket.create_connection((each, outside), 5).close()
    finally:
        stop(elsewhere, [PROXY], lambda _: None)


def test_a_server_that_does_not_come_up_is_stopped(tmp_path):
    (port,) = free_ports(1)
    deaf = sleeper(tmp_path)
    with pytest.raises(RuntimeError, match="sleeper: did not come up; its log ends:\nup"):
        start_server(deaf, port, up_s=5.0)
    assert deaf.pid() is None


def test_a_name_in_place_of_an_address_is_refused_before_anything_is_made(tmp_path):
    named = FleetFolder(tmp_path / "fleet", ("localhost",), "example.org", 9443, 18000, {})
    with pytest.raises(ValueError, match=r"--address example\.org: no IP address"):
        lay_out(named, 30)
    assert not named.path.exists()


def sleeper(folder, code="import time; print('up', flush=True); time.sleep(60)"):
    return Service(
        "sleeper", folder / "run" / "sleeper", folder / "log", [sys.executable, "-c", code], {}
    )


def test_a_process_starts_once_and_stops(tmp_path):
    one = sleeper(tmp_path)
    assert one.pid() is None
    assert one.start()
    pid = one.pid()
    assert not one.start()
    assert sleeper(tmp_path).pid() == pid
    assert wait_until(lambda: one.last_words() == "up", 20)
    sleeper(tmp_path).stop()
    assert one.pid() is None
    assert not Path(f"/proc/{pid}").exists()
    one.stop()


def test_a_process_that_ended_is_started_anew(tmp_path):
    one = sleeper(tmp_path, "pass")
    one.start()
    assert wait_until(lambda: one.pid() is None, 20)
    assert one.start()
    one.stop()


def test_another_process_with_the_same_number_is_left_alone(tmp_path):
    one = sleeper(tmp_path)
    one.record.parent.mkdir()
    one.record.write_text(f"{os.getpid()} 1\n")
    assert one.pid() is None
    one.stop()
    time.sleep(0.1)
    assert not one.record.exists()


def test_what_a_process_started_ends_with_it(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    one = sleeper(tmp_path, code)
    one.start()
    assert wait_until(lambda: one.last_words().isdigit(), 20)
    child = int(one.last_words())
    one.stop()

    def has_ended():
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    assert wait_until(has_ended, 20)


def test_certificates_name_their_hosts_and_keys_are_private(tmp_path):
    authority, certificate = tmp_path / "ca.crt", tmp_path / "server.crt"
    make_authority(authority)
    make_certificate(authority, certificate, ("example.org", "192.0.2.1"), days=10)
    make_node_key(tmp_path / "node")
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.org"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    assert 10 <= (found.not_valid_after_utc - found.not_valid_before_utc).days <= 11
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.read_bytes()))
    ssl.create_default_context(cafile=authority)
    private = [tmp_path / name for name in ("ca.key", "server.key", "node")]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600] * 3
    assert (tmp_path / "node.pub").read_text().startswith("ecdsa-sha2-nistp384 ")
