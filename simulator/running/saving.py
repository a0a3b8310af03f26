"""A whole arm in one fold into a checkpoint and back: its devices, records, server and events."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from clients.methods import Arrays
from simulator.cohort.checkpoint import read_server, read_shared, write_server
from simulator.folder.arrays_file import Written
from simulator.folder.kept import Kept, Manifest
from simulator.running.federation import Server, Session
from simulator.running.fleet import Fleet

__all__ = ["restore", "save", "write_models"]


def save(
    kept: Kept, fleet: Fleet, session: Session, serve: Server, round_: int, shared: Arrays | None
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        kept: where.
        fleet: whose fold is open.
        session: the arm and the fold.
        serve: its server.
        round_: after which.
        shared: the server's arrays, where devices answer with them.
    """
    folder = kept.begin(round_)
    try:
        written = fleet.save(round_, shared is not None, folder)
        rows = tuple(one for one in written if one.name.endswith(".arrow"))
        files = [one for one in written if not one.name.endswith(".arrow")]
        if session.shared:
            files.append(write_server(folder, serve.snapshot()))
        events = list(session.events)
        kept.finish(folder, Manifest(round_, shared is not None, tuple(files), rows, events))
    except BaseException:  # an interrupt or a full disk: what cannot be used should not stay
        shutil.rmtree(folder, ignore_errors=True)
        raise


def restore(kept: Kept, fleet: Fleet, session: Session, serve: Server, manifest: Manifest) -> None:
    """Let an arm that was just opened become what it was at a checkpoint."""
    folder = kept.folder_of(manifest.round_)
    fleet.restore(folder)
    server = read_server(folder)
    if server:
        serve.restore(server)
    session.events[:] = [dict(event) for event in manifest.events]
    session.done = manifest.round_


def write_models(kept: Kept, fleet: Fleet, rounds: Sequence[int]) -> list[Written]:
    """Write a version of each device's SavedModel for some checkpoints, and remove all others.

    The devices go back to these checkpoints, so that they are of no use afterwards.

    Returns:
        the SavedModels' variables, named from the run folder on.
    """
    for round_ in rounds:
        folder = kept.folder_of(round_)
        shared = read_shared(folder) if kept.manifest(round_).shares else None
        fleet.write_models(round_, shared, folder)
    return fleet.keep_models(rounds)
