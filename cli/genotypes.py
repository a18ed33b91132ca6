"""`medarts genotypes`: the zoo of published architectures."""

from __future__ import annotations

import click

from medarts_ops.cli import completion
from medarts_ops.cli.options import json_option
from medarts_ops.cli.output import print_json, print_table, results_console, table
from medarts_ops.space.formats import format_darts
from medarts_ops.space.zoo import zoo, zoo_genotype


@click.command()
@click.argument("name", required=False, shell_complete=completion.genotype_names)
@json_option
def command(*, name: str | None, as_json: bool) -> None:
    """List the published architectures with their exact parameter counts, or print the one called NAME.

    Counts are of the evaluation network (20 cells, 36 channels) on 10 and 100 classes, without auxiliary head.

    \b
    Examples:
      medarts genotypes
      medarts genotypes DARTS_V2
      medarts evaluate --genotype DARTS_V2 --dataset cifar10
    """
    if name is not None:
        genotype = zoo_genotype(name)
        if as_json:
            print_json(genotype.model_dump(mode="json"))
        else:
            results_console().print(format_darts(genotype))
    elif as_json:
        print_json([entry.model_dump(mode="json") for entry in zoo().values()])
    else:
        counts = ("10 classes", "100 classes", "auxiliary")
        rows = table("name", *counts, "what it is", numbers=counts, folding=["what it is"])
        for entry in zoo().values():
            numbers = (entry.params_c10_C36_L20, entry.params_c100_C36_L20, entry.aux_head_c10)
            rows.add_row(entry.name, *(f"{number:,}" for number in numbers), entry.description)
        print_table(results_console(), rows)
