"""The command that lets a person wear a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput
from simulator.commands.shared import TrustOption, need_run, records_of, start_tensorflow

__all__ = ["device"]


def device(
    folder: Annotated[Path, typer.Argument(help="Where the device is kept.")],
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="Wear a device of this run, with its stream.")
    ] = None,
    name: Annotated[str | None, typer.Option("--device", help="Which one; the first.")] = None,
    arm: Annotated[
        str | None, typer.Option(help="With the keys of this arm; the first that is local.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Wear this SavedModel instead.")] = None,
    data: Annotated[Path | None, typer.Option(help="Play a person's recordings.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose; the first one's.")] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Take samples x,y,z (m/s²), a line each, as they come.")
    ] = False,
    rate_hz: Annotated[float | None, typer.Option(min=0.1, help="Samples per second; 20.")] = None,
    activities: Annotated[
        str | None, typer.Option(help="Of a SavedModel without a table: walking,jogging,...")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Windows per question; 8, or 32 single samples.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Gradient steps per answer; 4.")] = None,
    memory: Annotated[
        int | None, typer.Option(min=0, help="Windows to rehearse from; 16 questions.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of what is rehearsed; 0.")] = None,
    speed: Annotated[
        float, typer.Option(min=0.0, help="Times as fast as recorded; 0 = as fast as it can.")
    ] = 1.0,
    every: Annotated[int, typer.Option(min=1, help="Answers after which a version is saved.")] = 10,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the device.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Go back a version, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with the score as JSON.")] = False,
    trusted: TrustOption = False,
) -> None:
    """Wear one device yourself: it plays, predicts, asks you, and learns at once."""
    if sum([run_folder is not None, model is not None, resume, undo]) != 1:
        raise BadInput(
            "device: give --run RUN to wear a device of a run, or --model SAVEDMODEL with --data "
            "or --stdin to wear one of your own, or --resume or --undo for one that is there"
        )
    if model is not None and (data is None) != stdin:
        raise BadInput("device: --model needs either --data PATH or --stdin, what it is worn to do")
    of_run = {"device": name, "arm": arm}
    of_model = {"data": data, "user": user, "stdin": stdin or None, "rate-hz": rate_hz}
    of_model |= {"activities": activities, "batch": batch, "steps": steps}
    of_model |= {"memory": memory, "seed": seed}
    for goes_with, it, options in (("run", run_folder, of_run), ("model", model, of_model)):
        given = [f"--{option}" for option, value in options.items() if value is not None]
        if it is None and given:
            raise BadInput(
                f"device: {', '.join(given)} with --{goes_with} alone, when a device begins; leave "
                "it out"
            )
    start_tensorflow()
    from clients.device_folder import create, need_new
    from simulator.process.interrupts import unhidden_interrupts
    from simulator.wearing.sittings import wear_device_of_run, wear_program
    from simulator.wearing.wearing import go_back, sit

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    try:
        with unhidden_interrupts():
            if undo:
                go_back(folder, tell, as_json=as_json, trusted=trusted)
                return
            if not resume:
                need_new(folder)
            if run_folder is not None:
                need_run(run_folder)
                with records_of(run_folder):
                    newcomer = wear_device_of_run(run_folder, name, arm, trusted=trusted)
                create(folder, newcomer)
            elif model is not None:
                newcomer = wear_program(
                    model,
                    [each.strip() for each in activities.split(",")] if activities else None,
                    data,
                    user,
                    rate_hz=rate_hz or 20.0,
                    batch=batch,
                    steps=steps or 4,
                    memory=memory,
                    seed=seed or 0,
                    trusted=trusted,
                )
                create(folder, newcomer)
            sit(folder, tell, speed=speed, every=every, as_json=as_json, trusted=trusted)
    except BrokenPipeError:  # who listened has gone
        raise
    except OSError as error:
        raise BadInput(
            f"{error.filename or folder}: {error.strerror}; see to it, and go on by --resume where "
            "the device had begun"
        ) from None
