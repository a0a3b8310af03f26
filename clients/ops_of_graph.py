"""Which ops of a graph are not permitted, and where: nodes, functions, and functions in attributes.

Every node of every function counts, whether anything calls it or not. The ops that write and read
variables on disk are permitted to the saver alone: it must lead to them, and nothing else may, be
it a signature, an initialiser or an object, by whatever name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tensorflow.python.framework import op_def_registry

from clients.permitted_ops import RESTORING, SAVING, is_permitted

__all__ = ["Place", "functions_of_object", "refused"]

_SAME = "api_implements"
"""An attribute of functions: TensorFlow may run one in place of another that has the same text."""


@dataclass(frozen=True, slots=True)
class Place:
    """An op that is not permitted where it is.

    Attributes:
        op: its name.
        node: the node that runs it.
        function: the function that the node is in; empty in the main graph.
        why: what is wrong with it there.
    """

    op: str
    node: str
    function: str
    why: str = ""

    def __str__(self) -> str:
        """Say it in the words of an error."""
        where = f"function {self.function!r}" if self.function else "the main graph"
        return f"{self.op} (node {self.node!r} in {where}{self.why and f': {self.why}'})"


def refused(graph: Any) -> Iterator[Place]:
    """Go through the ops of a MetaGraphDef that are not permitted where they are.

    Args:
        graph: with exactly one graph and its library of functions.
    """
    library = {each.signature.name: each for each in graph.graph_def.library.function}
    if len(library) < len(graph.graph_def.library.function):
        twice = sorted(each.signature.name for each in graph.graph_def.library.function)
        name = next(a for a, b in pairwise(twice) if a == b)
        yield Place("a function", name, "", "there are two of this name")
    for name in library:
        if op_def_registry.get(name) is not None:
            yield Place(name, "a function", "", "it has the name of an op")
    known = frozenset(library)
    yield from _unknown(graph.graph_def.node, "", known)
    for name, function in library.items():
        yield from _unknown(function.node_def, name, known)
    named = [each.gradient_func for each in graph.graph_def.library.registered_gradients]
    for each in graph.graph_def.library.gradient:
        named += [each.function_name, each.gradient_func]
    for name in named:
        if name not in known:
            yield Place(name, "a gradient", "", "no function of this program")
    yield from _outside_of_saver(graph, library)


def functions_of_object(each: Any) -> Iterator[str]:
    """Go through the functions that an object of a SavedModel names."""
    yield from each.function.concrete_functions
    for name in (
        each.bare_concrete_function.concrete_function_name,
        each.captured_tensor.concrete_function,
    ):
        if name:
            yield name


def _unknown(nodes: Iterable[Any], function: str, known: frozenset[str]) -> Iterator[Place]:
    """Go through the ops of some nodes that are not permitted anywhere, by whatever way."""
    for node in nodes:
        stream = _stream(node) if node.op == "PrintV2" else None
        if node.op not in known | SAVING | RESTORING and not is_permitted(node.op, stream):
            why = f"it prints to {stream!r}" if stream is not None else ""
            yield Place(node.op, node.name, function, why)
        for name in _called(node):
            if name not in known:
                yield Place(name, node.name, function, "no function of this program")


def _stream(node: Any) -> str:
    """Return where `PrintV2` prints; what is left out has its default."""
    told = node.attr["output_stream"].s if "output_stream" in node.attr else b"stderr"
    return str(told.decode(errors="replace"))


def _called(node: Any) -> Iterator[str]:
    """Go through the names of functions in a node's attributes, however deep."""
    waiting = list(node.attr.values())
    while waiting:
        value = waiting.pop()
        kind = value.WhichOneof("value")
        if kind == "func":
            yield value.func.name
            waiting += value.func.attr.values()
        elif kind == "list":
            for each in value.list.func:
                yield each.name
                waiting += each.attr.values()


def _outside_of_saver(graph: Any, library: Mapping[str, Any]) -> Iterator[Place]:
    """Go through the ops that write or read variables where not the saver alone leads to them."""
    reach = _reach(library)
    nodes = {node.name: node for node in graph.graph_def.node}
    runs = _before(nodes, _run(graph))
    saves = _before(nodes, [graph.saver_def.save_tensor_name])
    restores = _before(nodes, [graph.saver_def.restore_op_name])
    saver_of = {"writes": saves - restores - runs, "reads": restores - saves - runs}
    for kind, ops in (("writes", SAVING), ("reads", RESTORING)):
        held = {
            name: [Place(node.op, node.name, name) for node in each.node_def if node.op in ops]
            for name, each in library.items()
        }
        left = {name for name, places in held.items() if places}
        left -= _reached(reach, _all_led_to(nodes[name] for name in saver_of[kind]))
        begins = [(name, _leads_to(nodes[name])) for name in nodes.keys() - saver_of[kind]]
        begins += [(name, {name}) for name in _of_objects(graph)]
        for begin, steps in sorted(begins, key=lambda each: each[0]):
            why = f"it {kind} files, and {begin!r} leads to it, which is not the saver"
            if not steps.isdisjoint(ops):
                yield Place(nodes[begin].op, begin, "", why)
            for name in sorted(_reached(reach, steps)):
                yield from (replace(place, why=why) for place in held[name])
                left.discard(name)
        for name in sorted(left):
            why = f"it {kind} files, and the saver does not lead to it"
            yield from (replace(place, why=why) for place in held[name])


def _reach(library: Mapping[str, Any]) -> Mapping[str, Set[str]]:
    """Return what each function leads to by itself, those included that may run in its place."""
    implements = {name: each.attr[_SAME].s for name, each in library.items() if _SAME in each.attr}
    same: dict[bytes, set[str]] = {}
    for name, text in implements.items():
        same.setdefault(text, set()).add(name)
    return {
        name: {*_texts(each), *_all_led_to(each.node_def), *same.get(implements.get(name, b""), ())}
        for name, each in library.items()
    }


def _of_objects(graph: Any) -> set[str]:
    """Return the functions that loading makes for objects and gradients, and may then run."""
    objects = graph.object_graph_def
    found = set(objects.concrete_functions)
    found.update(*(functions_of_object(each) for each in objects.nodes))
    library = graph.graph_def.library
    found.update(each.gradient_func for each in library.gradient)
    found.update(each.gradient_func for each in library.registered_gradients)
    return found


def _reached(reach: Mapping[str, Set[str]], begin: Iterable[str]) -> set[str]:
    """Return the functions that some names lead to."""
    found: set[str] = set()
    waiting = list(begin)
    while waiting:
        name = waiting.pop()
        if name in reach and name not in found:
            found.add(name)
            waiting += reach[name]
    return found


def _leads_to(node: Any) -> set[str]:
    """Return what a node runs by itself: its op, and the functions that it names."""
    return {node.op, *_called(node), *_texts(node)}


def _all_led_to(nodes: Iterable[Any]) -> set[str]:
    """Return what some nodes run by themselves."""
    return set().union(*map(_leads_to, nodes))


def _texts(each: Any) -> Iterator[str]:
    """Go through the attributes that are text: TensorFlow names some functions so."""
    yield from (value.s.decode(errors="replace") for value in each.attr.values() if value.s)


def _run(graph: Any) -> Iterator[str]:
    """Go through the nodes that are run by whoever loads or uses a program, but for its saver."""
    for signature in graph.signature_def.values():
        for each in signature.outputs.values():
            yield each.name
            yield from (part.name for part in each.composite_tensor.components)
            sparse = each.coo_sparse
            yield from (sparse.values_tensor_name, sparse.indices_tensor_name)
            yield sparse.dense_shape_tensor_name
    for collection in graph.collection_def.values():
        yield from collection.node_list.value
        yield from (value.decode(errors="replace") for value in collection.bytes_list.value)


def _before(nodes: Mapping[str, Any], outputs: Iterable[str]) -> frozenset[str]:
    """Return the names of the nodes on which some outputs depend, and of these themselves."""
    found: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in found:
            found.add(name)
            waiting += nodes[name].input
    return frozenset(found)
