"""One worker of the peer pfl-research; started by `benchmarks.peers.pfl_research`.

pfl-research joins its workers by torch.distributed when it is imported, as its environment
variables say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDatasetBase
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics, Weighted
from pfl.model.pytorch import PyTorchModel

from benchmarks.peers.memory import own_peak_mib
from benchmarks.peers.protocol import Clock, answer, asked
from benchmarks.peers.workload import LEARNING_RATE, Workload, load_workload

_TAPS = 3
_CONVOLUTIONS = (("conv1", 2), ("conv2", 2), ("conv3", 1))  # with strides


class Network(torch.nn.Module):  # type: ignore[misc]
    """The workload's model, its parameters in the workload's layout."""

    def __init__(self, workload: Workload, *, tuned: bool) -> None:
        super().__init__()
        self._convolve = self._convolve_slices if tuned else self._convolve_plain
        for name, value in workload.params.items():
            self.register_parameter(name, torch.nn.Parameter(torch.from_numpy(value.copy())))
        self._logits = {"dense": self._dense, "cnn": self._cnn}[workload.program]

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Compute the mean cross-entropy of scaled windows [B, T, C] and classes [B]."""
        return torch.nn.functional.cross_entropy(self._logits(x), y)

    def metrics(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, Weighted]:
        """Return what pfl-research reports on a user in the first round."""
        with torch.no_grad():
            return {"loss": Weighted(float(self.loss(x, y)) * len(y), len(y))}

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self._product(x.flatten(1), "hidden"))
        return self._product(hidden, "classes")

    def _cnn(self, x: torch.Tensor) -> torch.Tensor:
        for name, stride in _CONVOLUTIONS:
            x = torch.relu(self._convolve(x, name, stride))
        return self._product(torch.cat([x.mean(dim=1), x.amax(dim=1)], dim=1), "classes")

    def _product(self, x: torch.Tensor, name: str) -> torch.Tensor:
        params = self._parameters
        return torch.addmm(params[f"{name}/bias"], x, params[f"{name}/kernel"])

    def _convolve_plain(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        """Convolve [B, T, C] by PyTorch's own convolution."""
        params = self._parameters
        kernel = params[f"{name}/kernel"]
        kernel = kernel.view(_TAPS * stride, -1, kernel.shape[1]).permute(2, 1, 0)
        x = x[:, : x.shape[1] // stride * stride].transpose(1, 2)
        bias = params[f"{name}/bias"]
        return torch.nn.functional.conv1d(x, kernel, bias, stride=stride).transpose(1, 2)

    def _convolve_slices(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        """Convolve [B, T, C] by shifted slices: twice as fast here as PyTorch's own `conv1d`."""
        batch, steps, width = len(x), x.shape[1] // stride, x.shape[2] * stride
        x = x[:, : steps * stride].reshape(batch, steps, width)
        count = steps - _TAPS + 1
        patches = torch.cat([x[:, tap : tap + count] for tap in range(_TAPS)], dim=2)
        flat = patches.view(batch * count, _TAPS * width)
        return self._product(flat, name).view(batch, count, -1)


class AllUsers(FederatedDatasetBase):  # type: ignore[misc]
    """Every user takes part in every round, each worker computing its share of them."""

    def __init__(self, workload: Workload, rank: int, workers: int) -> None:
        super().__init__()
        self._users = [
            _user_data(workload, device) for device in range(rank, workload.devices, workers)
        ]

    def __next__(self) -> tuple[Dataset, int]:
        raise NotImplementedError("a cohort is all users")

    def get_cohort(self, _cohort_size: int) -> Iterator[tuple[Dataset, int]]:
        """Return this worker's users."""
        return ((user, 0) for user in self._users)


def _user_data(workload: Workload, device: int) -> Dataset:
    """Return one client's rows, in the order of its batches, scaled once and for all."""
    x = (workload.x[device] - workload.mean) / workload.scale
    y = workload.y[device].astype(np.int64)
    return PyTorchTensorDataset(
        (torch.from_numpy(x.reshape(-1, *x.shape[2:])), torch.from_numpy(y.reshape(-1))),
        user_id=str(device),
    )


class Timer(TrainingProcessCallback):  # type: ignore[misc]
    """Takes the time of each round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_train_begin(self, **_: object) -> Metrics:
        """Begin."""
        self._clock.start()
        return Metrics()

    def after_central_iteration(
        self, _metrics: Metrics, model: PyTorchModel, **_: object
    ) -> tuple[bool, Metrics]:
        """End a round."""
        self._clock.round_done({k: v.detach().numpy() for k, v in model.variable_map.items()})
        return False, Metrics()


def main() -> None:
    """Measure."""
    ask = asked(__doc__)
    torch.set_num_threads(1)
    rank, workers = int(os.environ["PFL_WORKER_RANK"]), torch.distributed.get_world_size()
    workload = load_workload(ask.folder)
    users, clock = AllUsers(workload, rank, workers), Clock()
    network = Network(workload, tuned=ask.tuned)
    model = PyTorchModel(
        network,
        local_optimizer_create=partial(torch.optim.SGD, foreach=False),
        central_optimizer=torch.optim.SGD(network.parameters(), lr=1.0),
    )
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=ask.total,
            evaluation_frequency=ask.total + 1,
            train_cohort_size=workload.devices,
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(users, users, postprocessors=[WeightByDatapoints()]),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=1,
            local_learning_rate=LEARNING_RATE,
            local_batch_size=workload.y.shape[2],
        ),
        model_eval_params=NNEvalHyperParams(local_batch_size=None),
        callbacks=[Timer(clock)],
        send_metrics_to_platform=False,
    )
    memory = torch.tensor([own_peak_mib()])
    torch.distributed.all_reduce(memory)
    if rank == 0:
        answer(
            "pfl_research",
            ask,
            workload,
            clock,
            peak_rss_mib=memory.item(),
            packages=("pfl", "torch", "numpy"),
            settings={"workers": workers},
        )
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
