"""Make, start and stop a deployed fleet: SuperLink, reverse proxy and SuperNodes on loopback."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

from server.deploy.certificates import (
    LOOPBACK,
    make_authority,
    make_certificate,
    make_node_key,
    write_private,
)
from server.deploy.folder import PROXY, SUPERLINK, FleetFolder
from server.deploy.nodes import CONNECTION, register, states_by_site
from server.deploy.processes import Service, wait_until
from server.deploy.proxy import write_proxy_settings
from server.deploy.services import service, services

__all__ = ["lay_out", "renew", "start", "start_server", "states", "stop"]

_UP_S = 60.0
_NODES_UP_S = 150.0  # a SuperNode that was killed is refused for about 60 s
Tell = Callable[[str], None]


def lay_out(fleet: FleetFolder, days: int) -> None:
    """Make certificates, keys and settings; recordings and models are up to the caller.

    Args:
        fleet: in a folder that does not exist yet.
        days: for which certificates are good.

    Raises:
        ValueError: the proxy cannot listen on the address.
    """
    try:
        ip_address(fleet.address)
    except ValueError:
        raise ValueError(
            f"--address {fleet.address}: no IP address; give one of this machine's, or 0.0.0.0 for "
            "all of them. Names by which devices call it are given by --host"
        ) from None
    fleet.path.mkdir(parents=True, mode=0o700)
    for name in ("pki", "superlink", "flwr", "sites", "log", "run"):
        (fleet.path / name).mkdir()
    make_authority(fleet.authority)
    renew(fleet, days)
    for site in fleet.sites:
        site.path.mkdir()
        make_node_key(site.key)
    settings = (
        f'[superlink]\ndefault = "{CONNECTION}"\n\n'
        f"[superlink.{CONNECTION}]\n"
        f'address = "localhost:{fleet.superlink_port}"\n'
        f"root-certificates = {json.dumps(str(fleet.authority))}\n"
    )
    write_private(fleet.flower_home / "config.toml", settings.encode())
    fleet.save()


def renew(fleet: FleetFolder, days: int) -> None:
    """Give SuperLink and proxy new certificates and keys; they take them when they start."""
    make_certificate(fleet.authority, fleet.certificate(SUPERLINK), LOOPBACK, days)
    make_certificate(fleet.authority, fleet.certificate(PROXY), fleet.hosts, days)


def start(fleet: FleetFolder, names: Sequence[str], tell: Tell) -> None:
    """Start processes, all of them where none is named, and wait until they are of use.

    Raises:
        RuntimeError: one does not come up.
        ValueError: there is none of a name.
    """
    chosen = {name: service(fleet, name) for name in names} or services(fleet)
    for name, port in ((SUPERLINK, fleet.superlink_port), (PROXY, fleet.port)):
        if name in chosen and chosen[name].pid() is None:
            if name == PROXY:
                write_proxy_settings(fleet)
            start_server(chosen[name], port)
            tell(f"started {name}")
    sites = [s for s in fleet.sites if s.name in chosen and chosen[s.name].pid() is None]
    for site in sites:
        register(fleet, site)
    began = {site.name: time.time() for site in sites if chosen[site.name].start()}
    if began:
        _wait_for_nodes(fleet, {name: chosen[name] for name in began}, began, tell)


def stop(fleet: FleetFolder, names: Sequence[str], tell: Tell) -> None:
    """Stop processes, all of them where none is named; nodes first, so that they say goodbye."""
    chosen = {name: service(fleet, name) for name in names} or services(fleet)
    for name in reversed(services(fleet)):
        if name in chosen and chosen[name].pid() is not None:
            chosen[name].stop()
            tell(f"stopped {name}")


def states(fleet: FleetFolder) -> Mapping[str, str]:
    """Say of each process whether it runs, and of a SuperNode what the SuperLink knows of it."""
    running = {name: each.pid() for name, each in services(fleet).items()}
    known = states_by_site(fleet) if running[SUPERLINK] is not None else {}
    said = {}
    for name, pid in running.items():
        said[name] = "stopped" if pid is None else f"running, process {pid}"
        said[name] += f", {known[name].status}" if name in known else ""
    return said


def start_server(server: Service, port: int, up_s: float = _UP_S) -> None:
    """Start what listens on a port of loopback, and wait until it does.

    Args:
        server: the process.
        port: on which it will listen.
        up_s: seconds within which it must; what does not is stopped.

    Raises:
        RuntimeError: it does not come up, is not installed, or the port is taken.
    """
    if _listens(port):
        raise RuntimeError(
            f"{server.name}: port {port} is taken by another process; end that one, or make a "
            "fleet on other ports"
        )
    try:
        server.start()
    except FileNotFoundError:
        raise RuntimeError(
            f"{server.command[0]}: not found on this machine; install it (nginx: apt-get install "
            "nginx)"
        ) from None
    if not wait_until(lambda: _listens(port) or server.pid() is None, up_s) or not server.pid():
        server.stop()
        raise RuntimeError(f"{server.name}: did not come up; its log ends:\n{server.last_words()}")


def _wait_for_nodes(
    fleet: FleetFolder, nodes: Mapping[str, Service], began: Mapping[str, float], tell: Tell
) -> None:
    """Wait until the SuperLink says that nodes came online; start those anew that it refuses.

    Args:
        fleet: theirs.
        nodes: by site.
        began: when each was started, as what was online before may be dead.
        tell: is told of each that came online.
    """
    waiting, end = dict(nodes), time.monotonic() + _NODES_UP_S
    while waiting and time.monotonic() < end:
        told = states_by_site(fleet)
        for name, each in nodes.items():
            if name not in waiting:
                continue
            here, state = each.pid() is not None, told.get(name)
            # The SuperLink tells whole seconds.
            if here and state and state.status == "online" and state.since + 1.0 > began[name]:
                tell(f"started {name}")
                del waiting[name]
            elif not here:
                each.start()
        time.sleep(0.5 if waiting else 0.0)
    if waiting:
        said = "\n".join(f"{name}:\n{each.last_words()}" for name, each in waiting.items())
        raise RuntimeError(f"{', '.join(waiting)}: did not come up; their logs end:\n{said}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
