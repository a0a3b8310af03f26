"""What a SuperLink knows of SuperNodes, asked by Flower's own command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from server.deploy.folder import FleetFolder, Site
from server.deploy.services import program

__all__ = ["CONNECTION", "NodeState", "register", "states_by_site"]

CONNECTION = "fleet"
"""What `flwr` calls the SuperLink."""

_ASK_S = 60.0


def register(fleet: FleetFolder, site: Site) -> None:
    """Let the SuperLink know a site's key, unless it does; it gives the node its number.

    Raises:
        RuntimeError: it does not.
    """
    if not site.node_id.exists():
        told = _flwr(fleet, "register", str(site.public_key), CONNECTION, "--name", site.name)
        site.node_id.write_text(f"{told['node-id']}\n")


class NodeState(NamedTuple):
    """What the SuperLink says of a node.

    Attributes:
        status: registered, online or offline; one that was killed is online for a while.
        since: when it came online last, in seconds since 1970; 0 for never.
    """

    status: str
    since: float


def states_by_site(fleet: FleetFolder) -> dict[str, NodeState]:
    """Return what the SuperLink says of the nodes of all sites that are registered.

    Raises:
        RuntimeError: it says nothing.
    """
    nodes = {node["node-id"]: node for node in _flwr(fleet, "list", CONNECTION)["nodes"]}
    ids = {s.name: s.node_id.read_text().strip() for s in fleet.sites if s.node_id.exists()}
    return {name: _state(nodes[node_id]) for name, node_id in ids.items() if node_id in nodes}


def _state(node: Mapping[str, str]) -> NodeState:
    try:
        since = datetime.fromisoformat(node["online-at"]).timestamp()
    except ValueError:  # it never was
        since = 0.0
    return NodeState(node["status"], since)


def _flwr(fleet: FleetFolder, verb: str, *arguments: str) -> dict[str, Any]:
    """Run `flwr supernode VERB`, and return what it answers in JSON."""
    done = subprocess.run(
        [program("flwr"), "supernode", verb, *arguments, "--format", "json"],
        env=fleet.environment(fleet.flower_home),
        capture_output=True,
        text=True,
        timeout=_ASK_S,
        check=False,
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        told = {}
    if not told.get("success"):
        said = " ".join((done.stdout + done.stderr).split())[-500:]
        raise RuntimeError(
            f"flwr supernode {verb}: {said}; see whether the SuperLink runs, and its log "
            f"{fleet.log('superlink')}"
        )
    return told
