"""Recipe → the graph of stages, each once, with what it costs and what is already stored."""

from adapterx.plan.adoption import Adopted, Adoption
from adapterx.plan.bundles import Capacity, bundles, ready
from adapterx.plan.cells import Cell, expand
from adapterx.plan.contamination import Compare
from adapterx.plan.facts import TaskFacts, TaskLike
from adapterx.plan.graph import build
from adapterx.plan.lane import LibraryAdapter, Measure
from adapterx.plan.looks import Look
from adapterx.plan.result import CellStages, Plan
from adapterx.plan.stage import Cost, Evaluation, Stage, StageKind, Training
from adapterx.plan.states import Change, State, states

__all__ = [
    "Adopted",
    "Adoption",
    "Capacity",
    "Cell",
    "CellStages",
    "Change",
    "Compare",
    "Cost",
    "Evaluation",
    "LibraryAdapter",
    "Look",
    "Measure",
    "Plan",
    "Stage",
    "StageKind",
    "State",
    "TaskFacts",
    "TaskLike",
    "Training",
    "build",
    "bundles",
    "expand",
    "ready",
    "states",
]
