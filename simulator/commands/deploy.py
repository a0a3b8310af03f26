"""Commands on a fleet that is deployed: real SuperLink, real SuperNodes, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput, RunFailed
from simulator.commands.shared import start_tensorflow
from simulator.console import print_rows

__all__ = ["deploy_app"]

deploy_app = typer.Typer(
    suggest_commands=False,
    help="Run devices as real Flower SuperNodes on this machine.",
    no_args_is_help=True,
)

FleetArgument = Annotated[Path, typer.Argument(help="Where the fleet is kept.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(help="superlink, proxy, or users; all of them.")
]
DaysOption = Annotated[int, typer.Option(min=1, help="For which certificates are good.")]


@deploy_app.command("new")
def deploy_new(
    folder: FleetArgument,
    model: Annotated[Path, typer.Option(help="The SavedModel with which devices begin.")],
    data: Annotated[Path | None, typer.Option(help="WISDM recordings; synthetic people.")] = None,
    users: Annotated[int, typer.Option(min=1, help="How many wear a device.")] = 3,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A name or address by which devices elsewhere reach the proxy."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="On which the proxy listens; 0.0.0.0 = all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the proxy.")] = 9443,
    superlink_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of the SuperLink, on loopback.")
    ] = 18000,
    node_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of the first SuperNode, on loopback.")
    ] = 19100,
    days: DaysOption = 365,
) -> None:
    """Make a fleet's folder: certificates, keys, each user's recordings and SavedModel."""
    if folder.exists():
        raise BadInput(f"{folder}: is there already; give a folder that is not there yet")
    start_tensorflow()
    from server.deploy.certificates import LOOPBACK
    from server.deploy.fleet import lay_out
    from server.deploy.folder import FleetFolder
    from simulator.wearing.sites import furnish, wearers

    hosts = tuple(dict.fromkeys([*(host or []), *LOOPBACK]))
    people = wearers(model, data, users)
    ports = {user: node_port + i for i, user in enumerate(people)}
    fleet = FleetFolder(folder.absolute(), hosts, address, port, superlink_port, ports)
    with _told():
        lay_out(fleet, days)
    furnish(fleet, model, people)
    typer.echo(folder)


@deploy_app.command("start")
def deploy_start(folder: FleetArgument, names: NamesArgument = None) -> None:
    """Start SuperLink, proxy and SuperNodes in the background, those that do not run."""
    from server.deploy.fleet import start
    from server.deploy.folder import open_fleet
    from server.deploy.services import program

    with _told():
        fleet = open_fleet(folder)
        start(fleet, names or [], typer.echo)
    config = (
        f'shared="{fleet.shared}" result="{fleet.result}" resume=true '
        f"min-devices={len(fleet.sites)}"
    )
    typer.echo(
        f"\na run, from the folder that has pyproject.toml:\n"
        f"  FLWR_HOME={fleet.flower_home} {program('flwr')} run . fleet --stream -c '{config}'\n"
        f"logs:    {fleet.path / 'log'}\n"
        f"states:  wearfleet deploy status {folder}\n"
        f"the end: wearfleet deploy stop {folder}"
    )


@deploy_app.command("status")
def deploy_status(folder: FleetArgument) -> None:
    """Say which processes run, and which SuperNodes the SuperLink sees."""
    from server.deploy.fleet import states
    from server.deploy.folder import open_fleet

    with _told():
        print_rows(("process", "state"), list(states(open_fleet(folder)).items()))


@deploy_app.command("stop")
def deploy_stop(folder: FleetArgument, names: NamesArgument = None) -> None:
    """Stop processes; what devices are stays on disk."""
    from server.deploy.fleet import stop
    from server.deploy.folder import open_fleet

    with _told():
        stop(open_fleet(folder), names or [], typer.echo)


@deploy_app.command("renew")
def deploy_renew(folder: FleetArgument, days: DaysOption = 365) -> None:
    """Give SuperLink and proxy new certificates and keys, from the same authority."""
    from server.deploy.fleet import renew
    from server.deploy.folder import open_fleet

    with _told():
        renew(open_fleet(folder), days)
    typer.echo(f"now: wearfleet deploy stop {folder} superlink proxy, and start it again")


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the server's own code raises into errors that a person is told."""
    try:
        yield
    except ValueError as error:
        raise BadInput(str(error)) from error
    except RuntimeError as error:
        raise RunFailed(str(error)) from error
