"""Real devices: a SuperLink and SuperNodes over TLS, and a proxy that shows the fleet routes alone.

It needs nginx: apt-get install nginx.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.routing import iter_route_contexts
from safetensors.numpy import load_file

from clients.checkpoints import read_checkpoint, write_copy
from server.deploy.certificates import make_authority, make_certificate, make_node_key
from server.deploy.fleet import start, states, stop
from server.deploy.folder import PROXY, SUPERLINK, FleetFolder, open_fleet
from server.deploy.proxy import FLEET_ROUTES
from server.deploy.services import program
from simulator.base.programs import export_builtin
from simulator.cli import app

ROOT = Path(__file__).resolve().parents[1]
USERS = ("1600", "1601", "1602")
QUESTIONS = 2  # of a device in a round, as in pyproject.toml
RUN_S = 420
REFUSED_S = 90


def quiet(_: str) -> None:
    """Tell nobody."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def end_all_of(folder: Path) -> None:
    """End what a fleet started, and what that started, whatever became of the test."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(folder).encode() in told and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetFolder]:
    """Give a fleet of three users that runs."""
    folder = tmp_path_factory.mktemp("deployed")
    export_builtin("dense", folder / "model", 0)
    outside, superlink, *nodes = free_ports(2 + len(USERS))
    app(
        [
            *("deploy", "new", str(folder / "fleet"), "--model", str(folder / "model")),
            *("--port", str(outside), "--superlink-port", str(superlink)),
        ],
        standalone_mode=False,
    )
    made = open_fleet(folder / "fleet")
    made = replace(made, node_ports=dict(zip(USERS, nodes, strict=True)))  # they need not be a row
    made.save()
    try:
        start(made, [], quiet)
        yield made
        stop(made, [], quiet)
    finally:
        end_all_of(folder)


def run(fleet: FleetFolder, rounds: int, **config: float) -> str:
    """Run some rounds; return what the server told."""
    settings = {"rounds": rounds, "min-devices": len(USERS), "evaluation": 0.0, **config}
    told = f'shared="{fleet.shared}" result="{fleet.result}" resume=true method="fedper" '
    told += " ".join(f"{key}={value}" for key, value in settings.items())
    done = subprocess.run(
        [program("flwr"), "run", ".", "fleet", "--stream", "-c", told],
        cwd=ROOT,
        env=fleet.environment(fleet.flower_home),
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert "Strategy execution finished" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
    return done.stdout


@dataclass(frozen=True)
class Seen:
    """What lies on disk after a run."""

    told: str
    versions: dict[str, list[str]]
    steps: dict[str, int]
    variables: dict[str, dict[str, np.ndarray]]
    shared: dict[str, np.ndarray]


def look(fleet: FleetFolder, told: str) -> Seen:
    folders = {site.name: site.device / "versions" for site in fleet.sites}
    versions = {user: sorted(path.name for path in f.iterdir()) for user, f in folders.items()}
    variables = {user: read_checkpoint(f / versions[user][-1]) for user, f in folders.items()}
    steps = {user: int(state["step"]) for user, state in variables.items()}
    return Seen(told, versions, steps, variables, load_file(fleet.result))


def spoil(version: Path) -> None:
    """Put NaN into what a device keeps to itself, as a broken disk might."""
    state = read_checkpoint(version)
    state["params/classes/kernel"] = np.full_like(state["params/classes/kernel"], np.nan)
    whole = version.with_name("whole")
    version.rename(whole)
    write_copy(whole, version, state)
    (whole / "assets.extra").rename(version / "assets.extra")
    shutil.rmtree(whole)


@pytest.fixture(scope="module")
def first(fleet: FleetFolder) -> Seen:
    """Give what two rounds leave."""
    return look(fleet, run(fleet, 2))


@pytest.fixture(scope="module")
def second(fleet: FleetFolder, first: Seen) -> Seen:
    """Give what another round leaves, after a restart of a SuperNode and of the SuperLink.

    The last device has come to harm meanwhile.
    """
    stop(fleet, [USERS[0], SUPERLINK], quiet)
    spoil(fleet.sites[-1].device / "versions" / first.versions[USERS[-1]][-1])
    start(fleet, [SUPERLINK, USERS[0]], quiet)
    return look(fleet, run(fleet, 1, evaluation=1.0))


def test_everything_runs_and_every_node_is_seen(fleet):
    said = states(fleet)
    assert list(said) == [SUPERLINK, PROXY, *USERS]
    assert all(state.startswith("running") for state in said.values())
    assert [said[user].endswith("online") for user in USERS] == [True] * 3


def test_devices_learn_on_disk(fleet, first):
    assert first.told.count("aggregate_train: Received") == 2
    assert " 0 failures" in first.told
    assert first.versions == {user: ["00000000", "00000002", "00000004"] for user in USERS}
    assert sum(first.steps.values()) > 0
    begun = load_file(fleet.shared)
    assert first.shared.keys() == {name for name in begun if not name.startswith("classes/")}
    assert any(not np.array_equal(first.shared[name], begun[name]) for name in first.shared)
    assert all(np.isfinite(value).all() for value in first.shared.values())


def test_devices_go_on_after_a_restart_of_a_node_and_of_the_superlink(first, second):
    assert second.versions == {user: [*first.versions[user], "00000006"] for user in USERS}
    grown = {user: second.steps[user] - first.steps[user] for user in USERS}
    assert all(steps >= 0 for steps in grown.values())
    assert sum(grown.values()) > 0
    assert "aggregate_evaluate: Received 3 results and 0 failures" in second.told
    assert "holdout-accuracy" in second.told
    assert any(not np.array_equal(second.shared[n], v) for n, v in first.shared.items())


def test_an_update_that_is_not_finite_is_refused_and_the_others_count(second):
    assert second.told.count("refused the reply of node") == 1
    assert "aggregate_train: Received 2 results and 0 failures" in second.told
    assert all(np.isfinite(value).all() for value in second.shared.values())


def test_devices_differ_in_what_they_keep_to_themselves(second):
    one, other = (second.variables[user] for user in USERS[:2])
    assert not np.array_equal(one["params/classes/kernel"], other["params/classes/kernel"])


def test_private_keys_are_for_their_owner_alone(fleet):
    keys = [*fleet.path.glob("pki/*.key"), *(site.key for site in fleet.sites)]
    assert len(keys) == 6
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


# --- what the outside gets -----------------------------------------------------------------------


def asked(fleet, path, method="POST", port=None, authority=None):
    """Ask with a certificate that is checked; return the status and who answered."""
    context = ssl.create_default_context(cafile=authority or fleet.authority)
    connection = HTTPSConnection("localhost", port or fleet.port, context=context, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.putheader("Content-Type", "application/x-protobuf")
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def routes():
    """Give every route that this version of Flower's SuperLink serves, with a method of it."""
    from flwr.superlink.main import create_app

    found = [each.route for each in iter_route_contexts(create_app().routes)]
    return {route.path: sorted(route.methods)[-1] for route in found}


def test_the_proxy_lets_through_what_flower_serves_to_nodes_and_no_more(routes):
    fleet_routes = {path for path in routes if path.startswith("/v1/fleet/")}
    assert fleet_routes == {f"/v1/fleet/{name}" for name in FLEET_ROUTES}
    for kind, least in (("control", 30), ("runtime", 15)):
        assert sum(path.startswith(f"/v1/{kind}/") for path in routes) >= least


def test_fleet_routes_are_reached_and_ask_who_is_there(fleet, routes):
    for path in routes:
        if path.startswith("/v1/fleet/"):
            there = asked(fleet, path, port=fleet.superlink_port)
            assert asked(fleet, path) == there, path
            assert there in (400, 401, 415, 422), path
            assert asked(fleet, path, "GET") == 403, path


def test_every_other_route_is_refused_from_the_outside_and_is_there_inside(fleet, routes):
    outside = [path for path in routes if not path.startswith("/v1/fleet/")]
    assert len(outside) > 50
    for path in outside:
        assert asked(fleet, path, routes[path]) == 403, path
    assert asked(fleet, "/health", "GET", port=fleet.superlink_port) == 200
    assert asked(fleet, "/v1/control/list-nodes", port=fleet.superlink_port) != 403


@pytest.mark.parametrize(
    "path",
    [
        "/v1/fleet/../control/list-nodes",
        "/v1/fleet/%2e%2e/control/list-nodes",
        "/v1/fleet/..%2fcontrol/list-nodes",
        "/v1/fleet/pull-messages/../../control/list-nodes",
        "/v1/fleet/pull-messages%2f..%2f..%2fcontrol%2flist-nodes",
        "/v1/control/list-nodes?/v1/fleet/pull-messages",
        "/v1/control/list-nodes%3f/../../fleet/pull-messages/",
        "//v1/control/list-nodes",
        "/v1//control/list-nodes",
        "/v1/fleet/pull-messages;/v1/control/list-nodes",
        "/v1/fleet/pull-messages/",
        "/v1/fleet/",
        "/V1/control/list-nodes",
        "https://localhost/v1/control/list-nodes",
        "/",
        "*",
    ],
)
def test_other_ways_of_writing_a_path_are_refused(fleet, path):
    assert asked(fleet, path) in (400, 403, 404, 405)


def test_a_path_that_means_a_fleet_route_reaches_that_one_and_no_other(fleet):
    there = asked(fleet, "/v1/fleet/pull-messages")
    assert asked(fleet, "/v1/control/..%2ffleet/pull-messages") == there
    assert asked(fleet, "/v1/fleet/pull-messages?/v1/control/list-nodes") == there


def test_too_large_a_body_is_refused_before_it_is_sent(fleet):
    context = ssl.create_default_context(cafile=fleet.authority)
    connection = HTTPSConnection("localhost", fleet.port, context=context, timeout=30)
    connection.putrequest("POST", "/v1/fleet/push-object")
    connection.putheader("Content-Length", str(9 * 2**20))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_plain_http_is_refused(fleet):
    connection = HTTPConnection("localhost", fleet.port, timeout=30)
    connection.request("POST", "/v1/fleet/pull-messages", b"")
    assert connection.getresponse().status == 400
    connection.close()


def test_the_superlink_listens_on_loopback_alone(fleet):
    listening = {
        fields[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in (line.split() for line in Path(table).read_text().splitlines()[1:])
        if fields[3] == "0A"
    }
    for port in (fleet.superlink_port, *fleet.node_ports.values()):
        assert [each for each in listening if each.endswith(f":{port:04X}")] == [
            f"0100007F:{port:04X}"
        ]


def test_old_tls_and_another_authority_are_refused(fleet, strangers):
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(fleet, "/v1/fleet/pull-messages", authority=strangers.authority)
    context = ssl.create_default_context(cafile=fleet.authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with (
        socket.create_connection(("localhost", fleet.port), 30) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_the_proxy_does_not_trust_another_superlink(fleet, strangers, tmp_path):
    """Whoever takes the SuperLink's port on this machine gets no message of a node."""
    make_certificate(strangers.authority, tmp_path / "false.crt", ("localhost",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "false.crt", tmp_path / "false.key")
    # What stands in for the proxy's upstream is another fleet's, with this one's settings.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = replace(
            fleet,
            path=tmp_path / "other",
            port=free_ports(1)[0],
            superlink_port=listener.getsockname()[1],
        )
        for name in ("pki", "log"):
            (other.path / name).mkdir(parents=True)
        for path in fleet.path.glob("pki/*"):
            (other.path / "pki" / path.name).write_bytes(path.read_bytes())

        def greet():
            with suppress(OSError):
                peer, _ = listener.accept()
                context.wrap_socket(peer, server_side=True).recv(1)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        try:
            start(other, [PROXY], quiet)
            assert asked(other, "/v1/fleet/pull-messages") == 502
            assert "certificate verify" in other.log(PROXY).read_text()
        finally:
            stop(other, [PROXY], quiet)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Give another authority, and a key that nobody registered."""
    folder = tmp_path_factory.mktemp("strangers")
    make_authority(folder / "ca.crt")
    make_node_key(folder / "node")
    return SimpleNamespace(authority=folder / "ca.crt", key=folder / "node", path=folder)


def test_nodes_that_do_not_belong_are_refused(fleet, strangers):
    """Unregistered, of another authority, without TLS, without a key: none gets in."""
    site, (address,) = fleet.sites[1], [f"localhost:{fleet.port}"]
    trust = ["--root-certificates", str(fleet.authority)]
    tries = {
        "unregistered": [*trust, "--auth-supernode-private-key", str(strangers.key)],
        "authority": [
            *("--root-certificates", str(strangers.authority)),
            *("--auth-supernode-private-key", str(site.key)),
        ],
        "without TLS": ["--insecure"],
        "without a key": trust,
    }
    before, ports = states(fleet), free_ports(len(tries))
    logs = {name: strangers.path / f"{name}.log" for name in tries}
    running = {}
    for (name, options), port in zip(tries.items(), ports, strict=True):
        with logs[name].open("wb") as log:
            running[name] = subprocess.Popen(
                [
                    *(program("flower-supernode"), "--superlink", address, "--max-retries", "1"),
                    *("--port", str(port), *options),
                ],
                env=fleet.environment(strangers.path),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    end = time.monotonic() + REFUSED_S
    try:
        for name, process in running.items():
            code = process.wait(max(1.0, end - time.monotonic()))
            assert code != 0, logs[name].read_text()
    finally:
        for process in running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    said = {name: log.read_text() for name, log in logs.items()}
    assert "SuperNode ID" not in "".join(said.values())
    assert "2004" in said["unregistered"] or "2001" in said["unregistered"]
    assert "CERTIFICATE_VERIFY_FAILED" in said["authority"]
    assert states(fleet) == before


def test_renewed_certificates_are_taken_when_the_proxy_starts_again(fleet):
    def shown():
        return ssl.get_server_certificate(("localhost", fleet.port))

    before = shown()
    app(["deploy", "renew", str(fleet.path), "--days", "30"], standalone_mode=False)
    app(["deploy", "stop", str(fleet.path), "proxy"], standalone_mode=False)
    app(["deploy", "start", str(fleet.path), "proxy"], standalone_mode=False)
    assert shown() != before
    assert asked(fleet, "/v1/fleet/pull-messages") in (400, 401, 415, 422)
