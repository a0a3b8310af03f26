"""The packages that an installed Wearfleet brings along, and their licences."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["Licence", "licences", "required"]

_LONGEST = 60  # characters; whoever writes more has put the whole text there


class Licence(NamedTuple):
    """What a package is published under, in its own words.

    Attributes:
        package: its name.
        version: that is installed.
        licence: as its metadata say, an SPDX expression where they have one.
    """

    package: str
    version: str
    licence: str


def licences(package: str = "wearfleet") -> list[Licence]:
    """Return the licences of all that a package needs, and of what that needs, by name."""
    found: dict[str, Licence] = {}
    waiting = [(package, frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        key = canonicalize_name(name)
        if key != canonicalize_name(package):
            found[key] = Licence(key, installed.version, _licence_of(installed))
        for one in required(installed, extras):
            nxt = (canonicalize_name(one.name), frozenset(one.extras))
            if nxt not in seen:
                seen.add(nxt)
                waiting.append(nxt)
    return [found[key] for key in sorted(found)]


def required(installed: Distribution, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """Return what a package needs on this machine, with some of its extras."""
    wanted = [Requirement(text) for text in installed.requires or []]
    return [
        one
        for one in wanted
        if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in ("", *extras))
    ]


def _licence_of(installed: Distribution) -> str:
    """Return what a package's metadata say of its licence."""
    metadata = installed.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    start = "License :: "
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or []
        if text.startswith(start) and text != "License :: OSI Approved"
    ]
    if classifiers:
        return ", ".join(dict.fromkeys(classifiers))
    said = "".join(metadata.get_all("License") or []).strip().splitlines()
    return said[0] if said and len(said[0]) <= _LONGEST else "see its files"
