"""The processes of a deployed fleet, and how each is called."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from server.deploy.folder import PROXY, SUPERLINK, FleetFolder, Site
from server.deploy.processes import Service

__all__ = ["program", "service", "services"]


def services(fleet: FleetFolder) -> dict[str, Service]:
    """Return all processes by name, in the order in which they are started."""
    names = [SUPERLINK, PROXY, *(site.name for site in fleet.sites)]
    return {name: service(fleet, name) for name in names}


def service(fleet: FleetFolder, name: str) -> Service:
    """Return one process.

    Raises:
        ValueError: there is none of that name.
    """
    sites = {site.name: site for site in fleet.sites}
    home = fleet.flower_home
    if name == SUPERLINK:
        command = _superlink(fleet)
    elif name == PROXY:
        command = _proxy(fleet)
    elif name in sites:
        command, home = _supernode(fleet, sites[name]), sites[name].path / "flwr"
    else:
        known = ", ".join([SUPERLINK, PROXY, *sites])
        raise ValueError(f"{name}: no process of the fleet {fleet.path}; there are {known}")
    record = fleet.path / "run" / name
    return Service(name, record, fleet.log(name), command, fleet.environment(home))


def program(name: str) -> str:
    """Return the path of one of Flower's programs, which are beside this Python."""
    return str(Path(sys.executable).parent / name)


def _superlink(fleet: FleetFolder) -> list[str]:
    certificate = fleet.certificate(SUPERLINK)
    return [
        program("flower-superlink"),
        *("--host", "127.0.0.1"),
        *("--port", str(fleet.superlink_port)),
        *("--ssl-ca-certfile", str(fleet.authority)),
        *("--ssl-certfile", str(certificate)),
        *("--ssl-keyfile", str(certificate.with_suffix(".key"))),
        "--enable-supernode-auth",
        *("--database", str(fleet.database)),
    ]


def _proxy(fleet: FleetFolder) -> list[str]:
    # Debian has it where only root looks.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    nginx = shutil.which("nginx", path=path) or "nginx"
    prefix = fleet.path / "nginx"
    return [nginx, "-p", str(prefix), "-c", str(prefix / "nginx.conf"), "-g", "daemon off;"]


def _supernode(fleet: FleetFolder, site: Site) -> list[str]:
    number = [each.name for each in fleet.sites].index(site.name)
    config = {
        "device": str(site.device),
        "model": str(site.model),
        "data-path": str(site.recordings),
        "user": site.name,
    }
    told = " ".join(f'{key}="{value}"' for key, value in config.items())
    return [
        program("flower-supernode"),
        *("--superlink", f"localhost:{fleet.port}"),
        *("--root-certificates", str(fleet.authority)),
        *("--auth-supernode-private-key", str(site.key)),
        *("--port", str(site.port)),
        *("--node-config", f"{told} partition-id={number}"),
    ]
