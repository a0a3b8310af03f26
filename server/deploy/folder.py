"""The folder of a deployed fleet: what lies where, and what was chosen when it was made."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["PROXY", "SUPERLINK", "FleetFolder", "Site", "open_fleet"]

SUPERLINK, PROXY = "superlink", "proxy"
_SETTINGS = "fleet.json"


@dataclass(frozen=True, slots=True)
class Site:
    """Where one user's device lives, as a machine of its own would have it.

    Attributes:
        name: the user's.
        path: the folder.
        port: on which its SuperNode serves its own processes, on loopback.
    """

    name: str
    path: Path
    port: int

    @property
    def key(self) -> Path:
        """The SuperNode's private key; the public one is beside it, with the ending `.pub`."""
        return self.path / "node"

    @property
    def public_key(self) -> Path:
        """What the SuperLink registers."""
        return self.path / "node.pub"

    @property
    def node_id(self) -> Path:
        """The number that the SuperLink gave the node, once it is registered."""
        return self.path / "node.id"

    @property
    def recordings(self) -> Path:
        """Of this user alone."""
        return self.path / "recordings"

    @property
    def model(self) -> Path:
        """The SavedModel with which the device begins."""
        return self.path / "model"

    @property
    def device(self) -> Path:
        """All that the device is; it is made by the first message that it gets."""
        return self.path / "device"


@dataclass(frozen=True, slots=True)
class FleetFolder:
    """A deployed fleet.

    Attributes:
        path: where it is, absolute.
        hosts: names and addresses by which the outside calls the proxy.
        address: on which the proxy listens beside loopback, where the SuperNodes here call it.
        port: of the proxy.
        superlink_port: of the SuperLink, on loopback.
        node_ports: by site, on loopback.
    """

    path: Path
    hosts: tuple[str, ...]
    address: str
    port: int
    superlink_port: int
    node_ports: Mapping[str, int]

    @property
    def sites(self) -> tuple[Site, ...]:
        """Everybody's."""
        return tuple(
            Site(name, self.path / "sites" / name, port) for name, port in self.node_ports.items()
        )

    @property
    def authority(self) -> Path:
        """The certificate of the authority; its key is beside it."""
        return self.path / "pki" / "ca.crt"

    def certificate(self, name: str) -> Path:
        """Return the certificate of the SuperLink or the proxy; its key is beside it."""
        return self.path / "pki" / f"{name}.crt"

    @property
    def flower_home(self) -> Path:
        """FLWR_HOME of the SuperLink and of `flwr`."""
        return self.path / "flwr"

    @property
    def database(self) -> Path:
        """Where the SuperLink keeps runs and registrations."""
        return self.path / "superlink" / "state.db"

    @property
    def shared(self) -> Path:
        """The shared arrays with which the first run starts."""
        return self.path / "superlink" / "shared.safetensors"

    @property
    def result(self) -> Path:
        """The shared arrays after the last round of any run."""
        return self.path / "superlink" / "result.safetensors"

    def log(self, name: str) -> Path:
        """Return the log of a process."""
        return self.path / "log" / f"{name}.log"

    def environment(self, flower_home: Path) -> dict[str, str]:
        """Return the environment of Flower's processes.

        Args:
            flower_home: where Flower keeps what it unpacks.
        """
        # Flower starts others of its programs by name.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {
            **os.environ,
            "PATH": path,
            "FLWR_HOME": str(flower_home),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        }

    def save(self) -> None:
        """Write down what was chosen."""
        chosen = {name: value for name, value in asdict(self).items() if name != "path"}
        (self.path / _SETTINGS).write_text(json.dumps(chosen, indent=1) + "\n")


def open_fleet(path: Path) -> FleetFolder:
    """Return the fleet of a folder.

    Raises:
        ValueError: there is none.
    """
    try:
        fields = json.loads((path / _SETTINGS).read_text())
        return FleetFolder(path.absolute(), tuple(fields.pop("hosts")), **fields)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{path}: no fleet in it (no {_SETTINGS}); make one by `wearfleet deploy new`"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path / _SETTINGS}: not the settings of a fleet ({error}); put back what was there"
        ) from None
