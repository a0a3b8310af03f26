"""The server of real nodes refuses single replies, says why, and goes on."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord
from flwr.app import RecordDict as Records
from safetensors.numpy import load_file, save_file

from clients.messages import pack, unpack
from clients.outcome import Update
from server.app import main
from server.guard import Guard
from server.strategies.guarded import GuardedFedAvg
from simulator.running.grid import FleetGrid

SENT = {"w": np.zeros(2, np.float32)}
EVERYBODY = {"min_train_nodes": 1, "min_evaluate_nodes": 1, "min_available_nodes": 1}


def strategy_of(max_norm=3.0, min_updates=1, max_examples=100):
    return GuardedFedAvg(
        Guard(max_norm), min_updates=min_updates, max_examples=max_examples, **EVERYBODY
    )


def moved(value, examples=10, loss=1.0, **told):
    return Update({"w": np.full(2, value, np.float32)}, examples, loss, told)


def replies_to(strategy, updates, round_=1):
    """Return the replies of nodes 2, 3, ... to what the strategy sends."""
    replies = dict(enumerate(updates))
    grid = FleetGrid(lambda _: replies)
    grid.addressed = range(len(updates))
    messages = strategy.configure_train(round_, pack(SENT), ConfigRecord(), grid)
    logging.getLogger("flwr").setLevel(logging.INFO)  # the grid of the simulator wants silence
    return list(grid.send_and_receive(messages))


def aggregated(strategy, replies, round_=1):
    arrays, metrics = strategy.aggregate_train(round_, replies)
    return None if arrays is None else unpack(arrays)["w"].tolist(), metrics


@pytest.fixture
def told(caplog):
    flower = logging.getLogger("flwr")
    level = flower.level
    yield caplog
    flower.setLevel(level)


def refusals(told):
    return [each.getMessage() for each in told.records if "refused" in each.getMessage()]


def test_good_updates_are_averaged_by_examples(told):
    strategy = strategy_of()
    replies = replies_to(strategy, [moved(1.0, 10), moved(4.0, 20)])
    arrays, metrics = aggregated(strategy, replies)
    assert arrays == pytest.approx([3.0, 3.0])
    assert metrics["loss"] == pytest.approx(1.0)
    assert refusals(told) == []


def test_those_who_learnt_nothing_are_passed_over(told):
    strategy = strategy_of()
    replies = replies_to(strategy, [moved(1.0, 0, float("nan")), moved(4.0, 20)])
    assert aggregated(strategy, replies)[0] == [4.0, 4.0]
    assert refusals(told) == []


def damaged(reply, how):
    content = reply.content
    if how == "bytes":
        content["arrays"]["w"] = Array("float32", (2,), "numpy.ndarray", b"\x93NUMPY junk")
    elif how == "pickle":
        content["arrays"]["w"] = Array(np.array([1.0], np.float32))
        content["arrays"]["w"].stype = "pickle"
    elif how == "no arrays":
        del content["arrays"]
    elif how == "two records":
        content["more"] = ArrayRecord({})
    elif how == "other record":
        content["other"] = content.pop("arrays")
    elif how == "no metrics":
        del content["metrics"]
    elif how == "other metrics":
        content["metrics"]["surprise"] = 1.0
    elif how == "no weight":
        del content["metrics"]["num-examples"]
    elif how == "list":
        content["metrics"]["num-examples"] = [1, 2]
    elif how == "claims":
        content["metrics"]["num-examples"] = 101
    elif how == "negative":
        content["metrics"]["num-examples"] = -5
    elif how == "loss":
        content["metrics"]["loss"] = float("nan")
    elif how == "weight":
        content["metrics"]["num-examples"] = float("inf")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("bytes", "cannot be read"),
        ("pickle", "instead of 'numpy.ndarray'"),
        ("no arrays", "array records [] and 1 metric records instead of ['arrays'] and 1"),
        ("two records", "array records ['arrays', 'more'] and 1 metric"),
        ("other record", "array records ['other'] and 1 metric"),
        ("no metrics", "and 0 metric records"),
        ("other metrics", "metrics ['loss', 'num-examples', 'surprise'] instead of"),
        ("no weight", "metrics ['loss'] instead of"),
        ("list", "num-examples not a finite number"),
        ("claims", "num-examples = 101 instead of 0 to 100"),
        ("negative", "num-examples = -5 instead of 0 to 100"),
        ("loss", "loss not a finite number"),
        ("weight", "num-examples not a finite number"),
    ],
)
def test_a_reply_of_another_form_is_refused_alone(told, how, reason):
    strategy = strategy_of()
    replies = replies_to(strategy, [moved(9.0), moved(2.0)])
    damaged(replies[0], how)
    assert aggregated(strategy, replies)[0] == [2.0, 2.0]
    (said,) = refusals(told)
    assert said.startswith("round 1: refused the reply of node 2: ")
    assert reason in said


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"w": np.array([1.0, np.nan], np.float32)}, "holds NaN or infinite values"),
        ({"w": np.array([1.0, np.inf], np.float32)}, "holds NaN or infinite values"),
        ({"w": np.zeros(3, np.float32)}, "w is float32 (3,) instead of float32 (2,)"),
        ({"w": np.zeros(2)}, "w is float64 (2,) instead of float32 (2,)"),
        ({"v": np.zeros(2, np.float32)}, "arrays ['v'] instead of ['w']"),
        ({}, "arrays [] instead of ['w']"),
    ],
)
def test_an_update_that_the_guard_refuses_is_left_out(told, arrays, reason):
    strategy = strategy_of()
    replies = replies_to(strategy, [moved(2.0), Update(arrays, 10, 1.0)])
    assert aggregated(strategy, replies)[0] == [2.0, 2.0]
    (said,) = refusals(told)
    assert "node 3" in said
    assert reason in said


def test_the_bound_follows_the_round_before_without_those_who_learnt_nothing(told):
    strategy = strategy_of(max_norm=3.0)
    first = [moved(1.0), moved(2.0), moved(3.0), moved(0.0, 0), moved(0.0, 0), moved(0.0, 0)]
    aggregated(strategy, replies_to(strategy, first))
    assert strategy.guard.bound == pytest.approx(3.0 * np.sqrt(8.0))
    replies = replies_to(strategy, [moved(1.0), moved(100.0)], 2)
    assert aggregated(strategy, replies, 2)[0] == [1.0, 1.0]
    (said,) = refusals(told)
    assert "round 2: refused the reply of node 3: norm 141.4 exceeds the bound 8.485" in said


def test_error_replies_are_survived(told):
    strategy = strategy_of()
    replies = replies_to(strategy, [moved(1.0), moved(2.0)])
    replies[0] = Message(error=Error(0, "the device is in use"), reply_to=asked_of(replies[0]))
    assert aggregated(strategy, replies)[0] == [2.0, 2.0]
    assert "the device is in use" in told.text


def asked_of(reply):
    """Return a message to the node of a reply."""
    return Message(Records(), reply.metadata.src_node_id, "train")


@pytest.mark.parametrize("good", [0, 1])
def test_a_round_with_too_few_good_updates_leaves_the_shared_arrays(told, good):
    strategy = strategy_of(min_updates=2)
    updates = [moved(np.nan), moved(1.0) if good else moved(np.inf)]
    assert aggregated(strategy, replies_to(strategy, updates)) == (None, None)
    assert (
        f"round 1: {good} good updates of 2 replies, fewer than min-updates = 2: the shared arrays "
        "stay as they are"
    ) in told.text


def test_scores_of_another_form_are_left_out(told):
    strategy = strategy_of()
    scores = [
        {"num-examples": 10, "holdout-accuracy": 0.5},
        {"num-examples": 10, "holdout-accuracy": float("nan")},
        {"num-examples": 10, "accuracy": 0.5},
        {"num-examples": 0, "holdout-accuracy": 0.0},
        {"num-examples": 30, "holdout-accuracy": 0.9},
    ]
    replies = replies_to(strategy, [moved(0.0)] * len(scores))
    for reply, score in zip(replies, scores, strict=True):
        del reply.content["arrays"]
        reply.content["metrics"] = MetricRecord(score)
    replies.append(Message(error=Error(0, "gone"), reply_to=asked_of(replies[0])))
    assert strategy.aggregate_evaluate(1, replies)["holdout-accuracy"] == pytest.approx(0.8)
    assert ["node 3" in refusals(told)[0], "node 4" in refusals(told)[1]] == [True, True]
    assert strategy.aggregate_evaluate(1, replies[1:4]) is None


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ({"num-examples": 1e300, "holdout-accuracy": 0.5}, "num-examples = 1e+300 instead of 0 to"),
        ({"num-examples": 100_001, "holdout-accuracy": 0.5}, "num-examples = 100001 instead"),
        ({"num-examples": -1, "holdout-accuracy": 0.5}, "num-examples = -1 instead of 0 to 100000"),
        (
            {"num-examples": 9, "holdout-accuracy": 1.01},
            "holdout-accuracy = 1.01 instead of 0",
        ),
        ({"num-examples": 9, "holdout-accuracy": -0.5}, "holdout-accuracy = -0.5 instead of 0 to"),
    ],
)
def test_a_score_that_no_device_has_is_left_out(told, score, reason):
    strategy = strategy_of()
    replies = replies_to(strategy, [moved(0.0)] * 2)
    good = {"num-examples": 10, "holdout-accuracy": 0.5}
    for reply, each in zip(replies, [score, good], strict=True):
        del reply.content["arrays"]
        reply.content["metrics"] = MetricRecord(each)
    assert strategy.aggregate_evaluate(1, replies)["holdout-accuracy"] == pytest.approx(0.5)
    assert reason in refusals(told)[0]


# --- the app -------------------------------------------------------------------------------------


class Nodes(FleetGrid):
    """Two nodes, one of which sends what the test says, whatever it is sent."""

    def __init__(self, answers):
        super().__init__(self._answer)
        self.addressed, self.answers, self.sent = range(2), iter(answers), []

    def send_and_receive(self, messages, *, timeout=None):
        messages = list(messages)
        if messages and messages[0].metadata.message_type == "evaluate":
            return []
        return super().send_and_receive(messages, timeout=timeout)

    def _answer(self, shared):
        self.sent.append(shared)
        return dict(enumerate(next(self.answers)(shared)))


def plus(amount):
    """Return what moves all arrays by an amount, on both nodes."""

    def answer(shared):
        moved = {name: (value + amount).astype(value.dtype) for name, value in shared.items()}
        return [Update(moved, 10, 1.0), Update(moved, 10, 1.0)]

    return answer


@pytest.fixture
def context(tmp_path):
    shared = {"base/w": np.zeros(2, np.float32), "classes/w": np.ones(1, np.float32)}
    save_file(shared, tmp_path / "shared.safetensors")
    config = {
        "shared": str(tmp_path / "shared.safetensors"),
        "result": str(tmp_path / "result.safetensors"),
        "resume": False,
        "method": "fedavg",
        "private": "classes/*",
        "rounds": 1,
        "participation": 1.0,
        "evaluation": 1.0,
        "min-devices": 2,
        "min-updates": 2,
        "max-norm": 0.0,
        "questions-per-round": 2,
        "batch": 8,
        "round-timeout-s": 10.0,
    }
    return SimpleNamespace(tmp=tmp_path, config=config)


def run(context, *answers, **config):
    rounds = {"rounds": len(answers)}
    grid = Nodes(answers)
    main(grid, Context(1, 1, {}, Records(), {**context.config, **rounds, **config}))
    return grid


def test_what_is_shared_is_kept_after_each_round(context):
    def fail(_):
        kept = load_file(context.tmp / "result.safetensors")
        assert kept["base/w"].tolist() == [1.0, 1.0]
        raise RuntimeError("the server dies")

    with pytest.raises(RuntimeError, match="dies"):
        run(context, plus(1.0), fail)
    assert load_file(context.tmp / "result.safetensors")["base/w"].tolist() == [1.0, 1.0]


def test_a_server_goes_on_from_its_last_result(context):
    run(context, plus(1.0), resume=True)
    grid = run(context, plus(2.0), resume=True)
    assert grid.sent[0]["base/w"].tolist() == [1.0, 1.0]
    assert load_file(context.tmp / "result.safetensors")["base/w"].tolist() == [3.0, 3.0]
    run(context, plus(2.0))
    assert load_file(context.tmp / "result.safetensors")["base/w"].tolist() == [2.0, 2.0]


def test_a_round_without_good_updates_leaves_the_result_as_it_was(context):
    run(context, plus(1.0), plus(float("nan")), plus(1.0))
    assert load_file(context.tmp / "result.safetensors")["base/w"].tolist() == [2.0, 2.0]


def test_an_absurd_update_is_refused_in_the_first_round_already(context):
    def answer(shared):
        return [*plus(1.0)(shared)[:1], *plus(1e6)(shared)[:1]]

    run(context, answer, **{"max-norm": 3.0, "min-updates": 1})
    assert load_file(context.tmp / "result.safetensors")["base/w"].tolist() == [1.0, 1.0]


def test_what_devices_keep_to_themselves_is_not_sent(context):
    grid = run(context, plus(1.0), method="fedper")
    assert sorted(grid.sent[0]) == ["base/w"]
    assert sorted(load_file(context.tmp / "result.safetensors")) == ["base/w"]
    with pytest.raises(ValueError, match="nothing of base/w, classes/w is left to share"):
        run(context, plus(1.0), method="fedper", private="*")


def test_files_that_no_rounds_can_start_from_are_refused(context):
    with pytest.raises(FileNotFoundError, match=r"shared = '/nowhere': no such file; write it"):
        run(context, plus(1.0), shared="/nowhere")
    (context.tmp / "result.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"result = '.*': damaged, or no safetensors file"):
        run(context, plus(1.0), resume=True)
    save_file({"w": np.array([np.nan])}, context.tmp / "result.safetensors")
    with pytest.raises(ValueError, match=r"result = '.*': w not finite; start from another file"):
        run(context, plus(1.0), resume=True)
