"""Stand-ins for trackers' libraries: they record calls, and take exactly the arguments that the real functions take."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

Call = tuple[str, dict[str, Any]]


class FakeWandb(types.ModuleType):
    """`wandb.init`, and of the run that it returns `log`, `summary.update` and `finish` (0.19 to 0.22)."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__("wandb")
        self.calls = calls

    def init(
        self,
        entity: str | None = None,
        project: str | None = None,
        dir: str | None = None,
        id: str | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Any = None,
        config: dict[str, Any] | str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        mode: str | None = None,
        reinit: bool | str | None = None,
        resume: bool | str | None = None,
    ) -> FakeWandbRun:
        self.calls.append(("init", {"project": project, "dir": dir, "name": name, "config": config, "reinit": reinit}))
        return FakeWandbRun(self.calls)


class FakeWandbRun:
    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.summary = self

    def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        self.calls.append(("log", {"data": data, "step": step}))

    def update(self, d: dict[str, Any]) -> None:
        self.calls.append(("summary", d))

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        self.calls.append(("finish", {"exit_code": exit_code}))


class FakeTrackio(types.ModuleType):
    """`trackio.init`, `log` and `finish`."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__("trackio")
        self.calls = calls

    def init(
        self,
        project: str,
        name: str | None = None,
        group: str | None = None,
        space_id: str | None = None,
        dataset_id: str | None = None,
        config: dict[str, Any] | None = None,
        resume: str = "never",
        settings: Any = None,
    ) -> object:
        assert resume in ("must", "allow", "never")
        self.calls.append(("init", {"project": project, "name": name, "config": config}))
        return object()

    def log(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self.calls.append(("log", {"metrics": metrics, "step": step}))

    def finish(self) -> None:
        self.calls.append(("finish", {}))


class FakeMlflow(types.ModuleType):
    """`set_experiment`, `start_run`, `log_params`, `log_metrics` and `end_run`, which refuse what MLflow refuses."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__("mlflow")
        self.calls = calls

    def set_experiment(self, experiment_name: str | None = None, experiment_id: str | None = None) -> object:
        self.calls.append(("set_experiment", {"experiment_name": experiment_name}))
        return object()

    def start_run(
        self,
        run_id: str | None = None,
        experiment_id: str | None = None,
        run_name: str | None = None,
        nested: bool = False,
        tags: dict[str, Any] | None = None,
        description: str | None = None,
    ) -> object:
        self.calls.append(("start_run", {"run_name": run_name}))
        return object()

    def log_params(self, params: dict[str, Any], synchronous: bool | None = None) -> object:
        assert len(params) <= 100 and all(len(str(value)) <= 500 for value in params.values())
        self._check(params)
        self.calls.append(("log_params", params))
        return object()

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> object:
        self._check(metrics)
        self.calls.append(("log_metrics", {"metrics": metrics, "step": step}))
        return object()

    def end_run(self, status: str = "FINISHED") -> None:
        assert status in ("FINISHED", "FAILED", "KILLED")
        self.calls.append(("end_run", {"status": status}))

    @staticmethod
    def _check(names: Mapping[str, Any]) -> None:
        for name in names:
            assert all(one.isascii() and (one.isalnum() or one in "_-./ ") for one in name), name
