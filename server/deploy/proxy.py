"""The reverse proxy before a SuperLink: which routes the outside may call, and nginx's settings."""

from __future__ import annotations

import getpass
import os
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from string import Template

from server.deploy.folder import PROXY, FleetFolder

__all__ = ["FLEET_ROUTES", "write_proxy_settings"]

FLEET_ROUTES = (
    "register-node",
    "activate-node",
    "deactivate-node",
    "unregister-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "get-run",
    "get-fab",
    "push-object",
    "pull-object",
    "confirm-message-received",
)
"""All that Flower serves below /v1/fleet/, and all that the outside may call."""

_TEMPLATE = Path(__file__).with_name("nginx.conf.template")


def write_proxy_settings(fleet: FleetFolder) -> Path:
    """Write nginx's configuration for a fleet; return it."""
    prefix = fleet.path / "nginx"
    prefix.mkdir(exist_ok=True)
    certificate = fleet.certificate(PROXY)
    # As root, nginx would work as somebody else, who may not read this folder.
    user = f"user {getpass.getuser()};" if os.getuid() == 0 else ""
    settings = Template(_TEMPLATE.read_text()).substitute(
        user=user,
        prefix=prefix,
        log=fleet.log(PROXY),
        superlink_port=fleet.superlink_port,
        listens="\n        ".join(f"listen {place} ssl;" for place in _places(fleet)),
        hosts=" ".join(fleet.hosts),
        certificate=certificate,
        key=certificate.with_suffix(".key"),
        authority=fleet.authority,
        routes="|".join(FLEET_ROUTES),
        flower=version("flwr"),
    )
    path = prefix / "nginx.conf"
    path.write_text(settings)
    return path


def _places(fleet: FleetFolder) -> list[str]:
    """Return where the proxy listens: always on loopback too, as the SuperNodes here call it there.

    Raises:
        ValueError: the fleet's address is none.
    """
    address = ip_address(fleet.address)
    host = f"[{address}]" if address.version == 6 else str(address)
    hosts = [host] if host in ("0.0.0.0", "127.0.0.1") else [host, "127.0.0.1"]
    return [f"{each}:{fleet.port}" for each in hosts]
