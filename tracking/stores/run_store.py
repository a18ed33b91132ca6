"""Runs in an MLflow store, by explicit run ids: MLflow's fluent run stack is thread-local and reads the environment."""

from __future__ import annotations

import copy
import json
import logging
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException

from medarts_ops.errors import RunError
from medarts_ops.observers import DatasetSummary
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.files import MAX_ARTIFACT_BYTES, parse_json
from medarts_ops.tracking.stores import experiments
from medarts_ops.tracking.stores.entities import ABSENT, dataset_input, finite_metrics, store_errors, stored_run
from medarts_ops.tracking.stores.fetched_artifact import fetched_artifact
from medarts_ops.tracking.stores.half_sent import remove_half_sent
from medarts_ops.tracking.stores.job_names import named_run
from medarts_ops.tracking.stores.run_deletion import delete_run
from medarts_ops.tracking.stores.run_queries import matching_runs, one_of, tag_begins, tag_is
from medarts_ops.tracking.stores.source_tags import source_tags
from medarts_ops.tracking.stores.stored_run import LONGEST_PARAM, LONGEST_TAG, StoredRun
from medarts_ops.tracking.vocabulary import DIVERGED_TAG, JOB_OF_RUN, JOBS, KIND_TAG, PARENT_TAG, SEARCH_TAG


class RunStore:
    """One tracking store. Every method raises StoreError, in one line, when the store fails.

    `open_store` makes it; `artifact_root` is the local folder for artifacts, None where a server keeps them. Jobs are
    looked for in `experiment`, by name or id, and new ones go there; None is all, and `medarts` for new ones.
    """

    def __init__(self, uri: str, artifact_root: Path | None, experiment: str | None = None) -> None:
        self.uri = uri
        self.experiment = experiment
        self._artifact_root = artifact_root
        self._source_tags = source_tags()
        # Two lines for every new database, and a traceback for every failure, which is raised as well.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        with store_errors(uri):
            self._client = MlflowClient(tracking_uri=uri)

    def check(self) -> None:
        """Ask the store for something; a fresh database gets its tables here, which takes some seconds."""
        with store_errors(self.uri):
            self._client.search_experiments(max_results=1)

    def experiment_id(self) -> str:
        """The id of the experiment that new jobs go to; created if need be."""
        with store_errors(self.uri):
            given = self.experiment or vocabulary.EXPERIMENT
            return experiments.experiment_id(self._client, given, self._artifact_root)

    def experiment_names(self) -> dict[str, str]:
        """The experiments in which jobs are looked for, names by ids."""
        with store_errors(self.uri):
            return experiments.experiment_names(self._client, self.experiment)

    def within(self, experiment: str | None) -> RunStore:
        """The same store for another experiment, or for all."""
        other = copy.copy(self)
        other.experiment = experiment
        return other

    def create_run(
        self,
        *,
        experiment_id: str,
        kind: vocabulary.RunKind,
        name: str,
        parent_run_id: str | None = None,
        tags: Mapping[str, str],
        params: Mapping[str, object],
        milliseconds: int | None = None,
    ) -> str:
        """Start a run, now or at so many since 1970, and give its id. Parameters can't be changed later."""
        source = {"mlflow.source.name": JOBS[JOB_OF_RUN[kind]].command}
        all_tags = {**self._source_tags, **source, KIND_TAG: kind, **tags}
        if parent_run_id is not None:
            all_tags[PARENT_TAG] = parent_run_id
        with store_errors(self.uri):
            cut = {key: value[:LONGEST_TAG] for key, value in all_tags.items()}
            run = self._client.create_run(experiment_id, start_time=milliseconds, run_name=name, tags=cut)
            run_id = str(run.info.run_id)
        self.log_params(run_id, params)
        return run_id

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        """Log a run's parameters; the same ones again change nothing, others for the same keys are refused."""
        with store_errors(self.uri):
            cut = {key: str(value)[:LONGEST_PARAM] for key, value in params.items()}
            self._client.log_batch(run_id, params=[Param(key, value) for key, value in cut.items()])

    def log_metrics(
        self, run_id: str, values: Mapping[str, float], step: int = 0, milliseconds: int | None = None
    ) -> None:
        """Log the finite ones of `values` at once; if one is not, the run is tagged as diverged.

        They are stamped with `milliseconds` since 1970, or now; MLflow takes equal points of one stamp for one.
        """
        metrics = finite_metrics(values, step, int(time.time() * 1000) if milliseconds is None else milliseconds)
        tags = [RunTag(DIVERGED_TAG, "true")] if len(metrics) < len(values) else []
        with store_errors(self.uri):
            self._client.log_batch(run_id, metrics=metrics, tags=tags)

    def steps(self, run_id: str, metric: str) -> set[int]:
        """The steps at which a metric was logged."""
        with store_errors(self.uri):
            return {point.step for point in self._client.get_metric_history(run_id, metric)}

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or change tags; longer values than MLflow takes are cut."""
        with store_errors(self.uri):
            self._client.log_batch(run_id, tags=[RunTag(key, value[:LONGEST_TAG]) for key, value in tags.items()])

    def delete_tags(self, run_id: str, keys: Iterable[str]) -> None:
        """Take tags off a run that has them."""
        with store_errors(self.uri):
            for key in keys:
                self._client.delete_tag(run_id, key)

    def log_dataset(self, run_id: str, dataset: DatasetSummary, context: str) -> None:
        """Name the dataset as an input of the run; `context` says what for."""
        named = [dataset_input(dataset, context)]
        with store_errors(self.uri):
            try:
                self._client.log_inputs(run_id, named)
            except MlflowException as error:
                # Two jobs that name a new dataset at once: MLflow looks for it, then adds it, and one comes too late.
                if "unique" not in str(error).lower():
                    raise
                self._client.log_inputs(run_id, named)

    def log_json(self, run_id: str, path: str, value: Any) -> None:
        """Write plain data as a JSON artifact. NaN and infinity are refused: they are no JSON."""
        self.log_text(run_id, path, json.dumps(value, indent=1, allow_nan=False))

    def log_text(self, run_id: str, path: str, text: str) -> None:
        """Write a text artifact, replacing an earlier one."""
        with store_errors(self.uri):
            self._client.log_text(run_id, text, path)

    def log_file(self, run_id: str, file: Path) -> None:
        """Write a file as an artifact of its own name, replacing an earlier one."""
        with store_errors(self.uri):
            self._client.log_artifact(run_id, str(file))

    def log_bytes(self, run_id: str, path: str, content: bytes) -> None:
        """Write an artifact of any kind, replacing an earlier one."""
        target = PurePosixPath(path)
        with tempfile.TemporaryDirectory() as folder, store_errors(self.uri):
            file = Path(folder) / target.name
            file.write_bytes(content)
            parent = None if len(target.parts) == 1 else str(target.parent)
            self._client.log_artifact(run_id, str(file), parent)

    def artifacts_in(self, run_id: str, folder: str) -> dict[str, int | None]:
        """The paths of the artifacts in a folder of the run, with their bytes; none where there is no such folder."""
        with store_errors(self.uri):
            return {info.path: info.file_size for info in self._client.list_artifacts(run_id, folder)}

    def finish(self, run_id: str, status: vocabulary.RunStatus, milliseconds: int | None = None) -> None:
        """End a run, now or at so many since 1970."""
        with store_errors(self.uri):
            self._client.set_terminated(run_id, status, milliseconds)

    def reopen(self, run_id: str) -> None:
        """Let an ended run go on."""
        with store_errors(self.uri):
            self._client.update_run(run_id, "RUNNING")

    def remove_half_sent(self, run_id: str) -> None:
        """Remove what a process that was killed while it sent an artifact left of it; a server minds its own."""
        if self._artifact_root is not None:
            with store_errors(self.uri):
                remove_half_sent(self._client, run_id, self._artifact_root)

    def restore(self, run_id: str) -> None:
        """Bring a deleted run back, as it was."""
        with store_errors(self.uri):
            self._client.restore_run(run_id)

    def delete_run(self, run_id: str) -> bool:
        """Delete a run, its artifacts and models; says whether the artifacts are gone (`run_deletion.delete_run`)."""
        with store_errors(self.uri):
            return delete_run(self._client, run_id, artifacts_are_local=self._artifact_root is not None)

    def find_run(self, given: str) -> StoredRun:
        """The run with this id or its unique beginning, the job with this name, or a part of a search (`mine/init-02`).

        Raises:
            RunError: no such run, several of that name or beginning, a deleted run, or one that is not ours.
        """
        with store_errors(self.uri):
            try:
                run = self._client.get_run(given)
            except MlflowException as error:
                if error.error_code not in (ABSENT, "INVALID_PARAMETER_VALUE"):
                    raise
                return named_run(self, given)
        if run.info.lifecycle_stage != "active":
            with store_errors(self.uri):
                experiments.check_is_there(self._client, run.info.experiment_id)
            raise RunError(
                f"run {given} was deleted: `mlflow runs restore --run-id {given}` brings it back, but no artifact that "
                "`medarts delete` removed"
            )
        found = stored_run(run)
        if not found.kind:
            raise RunError(f"run {given} ({found.name}) is not of medarts: it has no tag {KIND_TAG}")
        return found

    def find_runs(self, given: Sequence[str]) -> list[StoredRun]:
        """The runs that `find_run` gives for each of these, those given by id asked for together; raises as it does."""
        by_id = self.with_ids(given)
        return [by_id[each] if each in by_id else self.find_run(each) for each in given]

    def with_ids(self, run_ids: Iterable[str]) -> dict[str, StoredRun]:
        """Those of our runs that are there, by their ids, asked for together."""
        condition = one_of(run_ids)
        found = [] if condition is None else self.matching(condition)
        return {run.run_id: run for run in found if run.kind}

    def all_of_kind(self, kind: vocabulary.RunKind, newest: int | None = None) -> list[StoredRun]:
        """All runs of one kind in the store, newest first, or only so many of them."""
        return self.matching(tag_is(KIND_TAG, kind), newest=newest)[::-1]

    def deleted_searches(self) -> list[StoredRun]:
        """The searches that were deleted and can be restored, newest first."""
        return self.matching(tag_is(KIND_TAG, "search"), deleted=True)[::-1]

    def check_none_is_deleted(self, name: str | None = None) -> None:
        """Refuse, by a StoreError, to know no job, or none of that name, where a deleted experiment has one."""
        if self.experiment is None and "'" not in (name or ""):
            named = "" if name is None else f" and attributes.run_name = '{name}'"
            with store_errors(self.uri):
                experiments.check_none_is_deleted(self._client, f"tags.`{KIND_TAG}` != ''{named}")

    def runs_of_search(self, experiment_id: str, search_id: str) -> list[StoredRun]:
        """The runs that carry a search's id (search, stages, individuals, not evaluations), oldest first."""
        return self.runs_with(experiment_id, SEARCH_TAG, search_id)

    def runs_with(self, experiment_id: str | None, tag: str, value: str, *, deleted: bool = False) -> list[StoredRun]:
        """The runs with this value of a tag, oldest first; only those that were deleted, if asked.

        An experiment of None is wherever jobs are looked for.
        """
        if experiment_id is None:
            return self.matching(tag_is(tag, value), deleted=deleted)
        return self._in_experiment(experiment_id, tag_is(tag, value), deleted=deleted)

    def runs_that_begin(self, tag: str, beginning: str) -> list[StoredRun]:
        """The runs of which a tag begins so, wherever jobs are looked for."""
        return [run for run in self.matching(tag_begins(tag, beginning)) if run.tags[tag].startswith(beginning)]

    def children(self, run: StoredRun, kind: vocabulary.RunKind | None = None) -> list[StoredRun]:
        """A run's direct children, oldest first; only those of one kind if asked."""
        of_kind = [] if kind is None else [tag_is(KIND_TAG, kind)]
        return self._in_experiment(run.experiment_id, tag_is(PARENT_TAG, run.run_id), *of_kind)

    def matching(self, *conditions: str | None, newest: int | None = None, deleted: bool = False) -> list[StoredRun]:
        """The runs that meet all of these (`run_queries.py`), wherever jobs are looked for, oldest first."""
        places = [*self.experiment_names()]
        with store_errors(self.uri):
            return matching_runs(self._client, places, conditions, newest=newest, deleted=deleted)

    def _in_experiment(self, experiment_id: str, *conditions: str | None, deleted: bool = False) -> list[StoredRun]:
        with store_errors(self.uri):
            return matching_runs(self._client, [experiment_id], conditions, deleted=deleted)

    def read_json_artifact(self, run_id: str, path: str, max_bytes: int = MAX_ARTIFACT_BYTES) -> Any:
        """The data of a JSON artifact.

        Raises:
            RunError: as for `download`, or no JSON (`parse_json`).
        """
        with tempfile.TemporaryDirectory() as folder:
            content = self.download(run_id, path, Path(folder), max_bytes).read_bytes()
        return parse_json(content, f"artifact {path!r} of run {run_id}")

    def download(self, run_id: str, path: str, folder: Path, max_bytes: int) -> Path:
        """Fetch an artifact into an existing folder, and give its file there.

        Raises:
            RunError: a path that leaves the run's folder, no such artifact, or a larger one.
        """
        with store_errors(self.uri):
            return fetched_artifact(self._client, run_id, path, folder, max_bytes)
