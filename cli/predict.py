"""`medarts predict`: images classified by an exported network."""

from __future__ import annotations

from pathlib import Path

import click

from medarts_ops.cli.options import json_option
from medarts_ops.cli.output import print_json, print_table, results_console, table
from medarts_ops.quantities import percent


@click.command(short_help="Classify images with an exported network.")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes for each image.")
@click.option(
    "--trusted",
    is_flag=True,
    help="MODEL is your own: load a .pt2, which can run whatever its maker put into it, or one beyond the limits.",
)
@json_option
def command(*, model: Path, images: tuple[Path, ...], top: int, trusted: bool, as_json: bool) -> None:
    """Classify IMAGES with MODEL, a file that `medarts export` wrote.

    Images of any size are made grey or coloured and resized as the network's training images were.

    \b
    Examples:
      medarts predict birds.onnx robin.jpg
      medarts predict birds.safetensors photos/*.jpg --top 1 --json
      medarts predict mine.pt2 --trusted robin.jpg
    """
    from medarts_ops.export.predict import classify, load_network

    answers = classify(load_network(model, trusted=trusted), images, top=top)
    if as_json:
        guesses = [[{"name": each.class_name, "probability": each.probability} for each in a.guesses] for a in answers]
        told = zip(answers, guesses, strict=True)
        print_json([{"image": str(answer.path), "classes": classes} for answer, classes in told])
        return
    made = table("image", "class", "probability", numbers=["probability"], folding=["image"])
    for answer in answers:
        for place, guess in enumerate(answer.guesses):
            made.add_row(str(answer.path) if place == 0 else "", guess.class_name, percent(guess.probability))
    print_table(results_console(), made)
