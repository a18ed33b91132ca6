"""The page of an experiment: its table and figure, each training behind them, and how to get them again."""

from __future__ import annotations

from datetime import datetime

from medarts_ops.pictures.experiments import experiment_figure
from medarts_ops.report.experiment_tables import arm_table, key_numbers, training_lines
from medarts_ops.report.pictures import page_images
from medarts_ops.report.tables import changed_settings, settings_table
from medarts_ops.report.template import STATES, rendered
from medarts_ops.report.values import ExperimentReport
from medarts_ops.summary_text import cells_text, statistics_lines

KINDS = {
    "table3": "Found and published genotypes, trained alike: the paper's Table III.",
    "table4": "The networks along a search's line of descent, from its first stage to its last: the paper's Table IV.",
    "fig5": "Accuracy on a part of the images against that on the next larger part: the paper's Fig. 5.",
    "fig6": "Accuracy at a low resolution against that at the full one: the paper's Fig. 6.",
    "sweep": "The same trainings under different settings.",
}
SCALES = {
    "paper": "It has the paper's own sizes.",
    "small": "Its scale is small, with sizes that end within minutes: hold its figures against no published ones.",
    "own": "Its sizes are as its settings say.",
}


def experiment_page(report: ExperimentReport, written: datetime | None = None) -> str:
    """The page. It is whole in itself: no script, no other file, no network; light or dark as the reader's system is.

    Columns of published figures look unlike those of what was measured here. `written` is the time at its foot, with a
    time zone; now by default.
    """
    summary, plan = report.summary, report.result.plan
    first = {"search": plan.arms[0].search, "evaluation": plan.arms[0].evaluation}
    drawn = {"figure": (f"{summary.title}: figure", lambda: experiment_figure(summary))}
    values = {
        "report": report,
        "summary": summary,
        "plan": plan,
        "state": STATES[report.state],
        "about": f"{KINDS[summary.kind]} {SCALES[summary.scale]}",
        "tiles": key_numbers(report),
        "rows": cells_text(summary),
        "statistics": statistics_lines(summary),
        "pictures": page_images(drawn if summary.figure is not None else {}, summary.name),
        "trainings": training_lines(report),
        "arms": arm_table(plan),
        "settings": {
            kind: (changed_settings(config), settings_table(config)) for kind, config in first.items() if config
        },
    }
    return rendered("experiment.html", values, written)
