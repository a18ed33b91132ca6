"""What is asked of a store about runs: conditions in MLflow's filter language, and the runs that meet them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlflow import MlflowClient
from mlflow.entities import ViewType

from medarts_ops.tracking.stores.entities import stored_run
from medarts_ops.tracking.stores.stored_run import StoredRun

PAGE = 200
"""Runs that are asked for at once: MLflow's own objects of a run take many times the memory of ours."""


def equals(attribute: str, value: str, comparator: str = "=") -> str | None:
    """The condition that an attribute or a tag has this value; None if no filter can quote it."""
    quote = '"' if "'" in value else "'"
    return None if quote in value else f"{attribute} {comparator} {quote}{value}{quote}"


def tag_is(tag: str, value: str) -> str | None:
    """The condition that a tag has this value."""
    return equals(f"tags.`{tag}`", value)


def tag_is_not(tag: str, value: str) -> str | None:
    """The condition that a tag has another value than this one; a run without the tag does not meet it."""
    return equals(f"tags.`{tag}`", value, "!=")


def tag_begins(tag: str, beginning: str) -> str | None:
    """The condition that a tag begins so, where `_` and `%` stand for any letters: what is found is to be looked at."""
    return equals(f"tags.`{tag}`", f"{beginning}%", "LIKE")


def named(name: str) -> str | None:
    """The condition that a run has this name."""
    return equals("attributes.run_name", name)


def id_begins(beginning: str) -> str | None:
    """The condition that a run's id begins so."""
    return equals("attributes.run_id", f"{beginning}%", "LIKE")


def one_of(run_ids: Iterable[str]) -> str | None:
    """The condition that a run has one of these ids; None if that is none that a filter can quote."""
    quoted = [f"'{run_id}'" for run_id in dict.fromkeys(run_ids) if "'" not in run_id]
    return f"attributes.run_id IN ({','.join(quoted)})" if quoted else None


def matching_runs(
    client: MlflowClient,
    experiment_ids: Sequence[str],
    conditions: Iterable[str | None],
    *,
    newest: int | None = None,
    deleted: bool = False,
) -> list[StoredRun]:
    """The runs that meet all conditions, oldest first; only the `newest` so many if asked, or only deleted ones.

    None among the conditions is one that no run of ours meets, since no filter can say it.
    """
    given = list(conditions)
    told = [condition for condition in given if condition is not None]
    if len(told) < len(given):
        return []
    found: list[StoredRun] = []
    token: str | None = None
    while newest is None or len(found) < newest:
        page = client.search_runs(
            list(experiment_ids),
            " and ".join(told),
            run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
            max_results=PAGE if newest is None else min(PAGE, newest - len(found)),
            order_by=[f"attributes.start_time {'ASC' if newest is None else 'DESC'}"],
            page_token=token,
        )
        found += [stored_run(run) for run in page]
        token = page.token
        if not token:
            break
    return sorted(found, key=lambda run: (run.started, run.name))
