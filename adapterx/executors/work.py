"""Do stages: from a bundle of the plan to stored results."""

from __future__ import annotations

import time
from collections.abc import Sequence

from adapterx.engine.cell import TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.halving import Bracket
from adapterx.executors import adopt, noted, room, tuning
from adapterx.executors.apart import Fail, apart
from adapterx.executors.backbones import Backbones
from adapterx.executors.backends import backends
from adapterx.executors.cells import CellFactory
from adapterx.executors.data import Data
from adapterx.executors.device import Machine
from adapterx.executors.evaluations import Evaluations
from adapterx.executors.finished import FinishedTrainings
from adapterx.executors.progress import Shows
from adapterx.executors.recorder import Recorder
from adapterx.executors.vocabularies import Vocabularies
from adapterx.plan import Adoption, Plan, Stage, Training
from adapterx.results.training import DataNotes
from adapterx.stopping import shielded
from adapterx.store import Store
from adapterx.tasks.known_tokenizers import KnownTokenizers


class Worker:
    """Trains and evaluates bundles of one plan, with one backbone in memory at a time.

    Args:
        data: the examples of the plan's tasks.
        vocabularies: whose embeddings are loaded, where not those of all tokens are.
        machine: where the backbone lives, and how bundles are worked off there.
        checkpoint_seconds: how much work a killed run may lose.
        progress: hears of every training step, and of every pass of an evaluation.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        data: Data,
        vocabularies: Vocabularies,
        machine: Machine,
        checkpoint_seconds: float,
        progress: Shows,
    ) -> None:
        self._store, self._capacity, self._on_cpu = store, machine.capacity, machine.device == "cpu"
        self._checkpoints = Checkpoints(store.root / "checkpoints", checkpoint_seconds)
        cache = store.root / "cache"
        self._backbones = Backbones(
            machine.device,
            vocabularies,
            KnownTokenizers(cache / "tokenizers"),
            plan.recipe.prefix_cache,
            cache / "prefix",
        )
        self._backends = backends(machine.options, self._checkpoints, progress.steps)
        self._recorder = Recorder(store, data, machine.device)
        finished = FinishedTrainings(plan, store)
        self._cells = CellFactory(plan, data, finished)
        self._evaluations = Evaluations(
            plan, data, self._backbones, self._backends, finished, self._recorder, progress.passes
        )

    def holds(self, stage: Stage) -> bool:
        """Whether the stage's backbone is the one in memory."""
        return self._backbones.holds(stage)

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        """Do the stages of one bundle and store their results. Whatever it raises, stored results are whole.

        Args:
            fail: hears of a stage that fails for a reason of its own, and of the reason; the others go on.
        """
        if isinstance(stages[0].work, Training):
            self._train(stages, fail)
        elif isinstance(stages[0].work, Adoption):
            self._read(stages, fail)
        else:
            self._evaluations.do(stages, fail)

    def _read(self, stages: Sequence[Stage], fail: Fail) -> None:
        """Take adapters from elsewhere into the store."""
        for stage in stages:
            with apart(stage, fail):
                assert isinstance(stage.work, Adoption)
                started = time.monotonic()
                read = adopt.read(stage.work, stage.backbone, stage.info)
                self._recorder.adoption(stage, read, time.monotonic() - started)

    def _train(self, stages: Sequence[Stage], fail: Fail) -> None:
        if self._on_cpu and not self.holds(stages[0]):
            room.check(stages)
        backbone = self._backbones.of(stages)
        cells: list[TrainingCell] = []
        places: list[tuple[Stage, range, Bracket | None]] = []
        of_data: dict[str, DataNotes] = {}
        for stage in stages:
            with apart(stage, fail):
                own, bracket = self._cells.candidates(stage, backbone, len(cells))
                assert isinstance(stage.work, Training)
                of_data[stage.id] = noted.of_training(own[0], stage.work.tasks)
                noted.tell(of_data[stage.id])
                places.append((stage, range(len(cells), len(cells) + len(own)), bracket))
                cells += own
        if not cells:
            return
        brackets = [bracket for _, _, bracket in places if bracket is not None]
        parts = room.parts(stages, cells, self._capacity, self._on_cpu)
        outcomes = self._backends[stages[0].work.lane].train(backbone, cells, brackets, parts)
        with shielded():  # what is trained is stored, even if the run is to end
            for stage, span, bracket in places:
                with apart(stage, fail):
                    chosen = tuning.choose([outcomes[place] for place in span], bracket)
                    weighed = self._cells.weighed(stage)
                    self._recorder.training(stage, chosen, len(cells), of_data[stage.id], weighed)
        self._checkpoints.forget(self._stored)

    def _stored(self, key: str) -> bool:
        """Whether the training of a checkpoint's key has its result, be it of this plan or of another."""
        kind, id, *_ = key.split(" ")  # a candidate's learning rate may follow
        return self._store.find(id, kind, kind) is not None
