"""How a run was measured, on which data, and where it came from, each as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from simulator.report.adversity import drifts_in_words, faults_in_words
from simulator.report.page import facts, plain_table, prose
from simulator.report.wording import counted

__all__ = ["data_defects", "origins", "protocol_in_words"]


def protocol_in_words(scenario: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Tell in sentences what the scenario says about data, split, stream, answers and learning."""
    held_out = _table(scenario, "split").get("holdout") != 0
    sentences = [
        *_data(scenario, _table(manifest, "data")),
        *_worn(scenario, _table(manifest, "data").get("users")),
        *_split(_table(scenario, "split"), _table(scenario, "model")),
        *_stream(_table(scenario, "stream")),
        *_labels(_table(scenario, "labels"), _table(scenario, "learning")),
        *_records(_table(scenario, "records")),
    ]
    adverse = [
        *drifts_in_words(
            [one for one in scenario.get("drift", []) if isinstance(one, dict)], held_out=held_out
        ),
        *faults_in_words(_table(scenario, "faults")),
    ]
    body = "".join(
        f"<p>{' '.join(prose(sentence) for sentence in told)}</p>"
        for told in (sentences, adverse)
        if told
    )
    meanings = {
        "prequential": "Each window of the stream is predicted, and scored, before the device "
        "learns from it.",
        "holdout": "Windows of each user that are never streamed, scored after a round; "
        "nothing is learnt from them.",
        "unseen-users": "All windows of users on whom the base model was not trained, scored "
        "by that model, untouched.",
    }
    if not held_out:
        del meanings["holdout"]
    return body + facts(meanings) + _base_models(manifest) + _arms(scenario)


def data_defects(scenario: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Tell how much data there was and what was wrong with it."""
    data = _table(manifest, "data")
    told = {
        "source": _table(scenario, "data").get("source"),
        "users": data.get("users"),
        "windows": data.get("windows"),
        "fingerprint": manifest.get("data_fingerprint"),
    }
    body = facts({name: value for name, value in told.items() if value is not None})
    defects = data.get("defects")
    if not isinstance(defects, dict):
        return body
    rows = [[str(reason), f"{count:,}"] for reason, count in defects.items() if count]
    if not rows:
        return body + "<p>No defects were found in the data.</p>"
    return body + plain_table(["defect", "count"], rows, "Lines rejected or repaired, by reason")


def origins(scenario_text: str, manifest: Mapping[str, Any]) -> str:
    """Show versions, machine and the resolved scenario, which runs again as it is."""
    told: dict[str, object] = {
        "status": manifest.get("status"),
        "seed": manifest.get("seed"),
        "git revision": manifest.get("git"),
        "wall time, since it was started or last gone on with": _wall_time(manifest.get("wall_s")),
    }
    for part in ("versions", "machine"):
        told.update({f"{name}": value for name, value in _table(manifest, part).items()})
    return (
        facts({name: value for name, value in told.items() if value is not None})
        + "<details><summary>The resolved scenario</summary>"
        + f'<pre tabindex="0">{escape(scenario_text)}</pre></details>'
    )


def _data(scenario: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    data = _table(scenario, "data")
    if not data:
        return []
    users = found.get("users")
    people = f" of {counted(users, 'user')}" if users is not None else ""
    sentences = [f"The data are accelerometer recordings{people} (source: {data.get('source')})."]
    activities = data.get("activities")
    if activities:
        names = ", ".join(str(name) for name in activities)
        sentences.append(f"{len(activities)} activities are told apart: {names}.")
    if "window_s" in data and "rate_hz" in data:
        sentences.append(
            f"A window is {data['window_s']:g} s at {data['rate_hz']:g} Hz"
            + (f", one every {data['hop_s']:g} s." if "hop_s" in data else ".")
        )
    return sentences


def _worn(scenario: Mapping[str, Any], users: object) -> list[str]:
    """Say who wears how many devices."""
    split, devices = _table(scenario, "split"), _table(scenario, "fleet").get("devices", "users")
    folds, donors = split.get("folds"), split.get("donors")
    if folds is None:
        return []
    if folds != 1:
        opening = f"In each of {folds} folds some users are donors and the others wear devices; "
        everybody = "every user wears a device once"
    elif donors:
        opening = f"{counted(donors, 'user is a donor', 'users are donors')}; "
        everybody = "each of the others wears a device"
    else:
        opening, everybody = "", "every user wears a device"
    if devices in ("users", users):
        told = everybody
    else:
        told = f"{counted(devices, 'device is', 'devices are')} dealt to all users in turn"
        if folds == 1 and donors:
            told += ", without those of donors"
        told += _extent(devices, users)
    told = opening + told
    return [f"{told[0].upper()}{told[1:]}."]


def _extent(devices: int, users: object) -> str:
    """Say whether users have several devices, or some none."""
    if not isinstance(users, int):
        return ""
    if devices < users:
        return ", so that not everybody wears one"
    return ", and those beyond a user's first are variations of the recordings"


def _split(split: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    sentences = []
    if model.get("base") == "donors":
        sentences.append(
            "The base model is trained offline on the donors, so no device's user is in it."
        )
    elif model.get("base") == "random":
        sentences.append("The base model is random: it has been trained on nobody.")
    if split.get("holdout") == 0:
        sentences.append("No windows are held out.")
    elif "holdout" in split:
        share = f"{100 * split['holdout']:g}%"
        sentences.append(
            f"{share} of each user's windows of each activity, drawn at random, are holdout, never "
            "streamed; many of them are neighbours of what is."
            if split.get("holdout_by") == "chance"
            else f"The last {share} of each recording is holdout, never streamed."
        )
    return sentences


def _stream(stream: Mapping[str, Any]) -> list[str]:
    if not {"questions_per_round", "batch"} <= stream.keys():
        return []
    order = {
        "recorded": "in the order of the recordings",
        "bouts": "in bouts of one activity",
        "shuffled": "shuffled",
    }.get(str(stream.get("order")), "in its order")
    return [
        f"The stream comes {order}; a device works through "
        f"{counted(stream['questions_per_round'], 'question')} a round, each of up to "
        f"{counted(stream['batch'], 'window')} that get one answer."
    ]


def _labels(labels: Mapping[str, Any], learning: Mapping[str, Any]) -> list[str]:
    sentences = []
    if "answer_rate" in labels:
        mistakes = labels.get("mistake_rate", 0)
        sentences.append(
            f"Users answer {100 * labels['answer_rate']:g}% of the questions they are asked, "
            f"{100 * mistakes:g}% of the answers being wrong."
        )
    delay = labels.get("delay_rounds")
    if delay:
        sentences.append(f"Answers arrive {counted(delay, 'round')} late.")
    if "steps" in learning:
        memory = learning.get("memory", 0)
        kept = counted(memory, "window")
        rehearsal = f"rehearsing from a memory of {kept}" if memory else "without memory"
        steps = counted(learning["steps"], "step")
        sentences.append(f"Each answer is learnt in {steps}, {rehearsal}.")
    return sentences


def _records(records: Mapping[str, Any]) -> list[str]:
    windows = records.get("windows", "all")
    if windows in ("all", 1):
        return []
    whose = "no device" if windows in ("none", 0) else f"{100 * windows:g}% of the devices alone"
    return [
        f"Single windows were written down of {whose} (`records.windows`); every number here is "
        "of all windows of all devices all the same."
    ]


def _arms(scenario: Mapping[str, Any]) -> str:
    rows = []
    for arm in scenario.get("arms", []):
        rest = [f"{key} = {arm[key]}" for key in arm if key not in ("name", "method")]
        rows.append([str(arm.get("name")), str(arm.get("method")), ", ".join(rest) or "–"])
    return plain_table(["arm", "method", "options"], rows, "The arms") if rows else ""


def _base_models(manifest: Mapping[str, Any]) -> str:
    bases = manifest.get("base")
    if not isinstance(bases, list) or not bases:
        return ""
    rows = [
        [
            str(base.get("fold", "–")),
            str(base.get("steps", "–")),
            _share(base.get("validation_accuracy")),
            _share(base.get("unseen_accuracy")),
        ]
        for base in bases
        if isinstance(base, dict)
    ]
    head = ["fold", "steps", "validation, %", "unseen-users, %"]
    return plain_table(
        head,
        rows,
        "The base models: the mean over activities of what is right on validating donors' windows, "
        "and accuracy on users they never saw",
    )


def _share(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, int | float) else "–"


def _wall_time(wall_s: object) -> str | None:
    if not isinstance(wall_s, int | float):
        return None
    minutes, seconds = divmod(round(wall_s), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{wall_s:.1f} s"


def _table(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = mapping.get(key)
    return value if isinstance(value, dict) else {}
