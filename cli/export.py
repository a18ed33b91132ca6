"""`medarts export`: an evaluated network as a file that others can use."""

from __future__ import annotations

from pathlib import Path

import click

from medarts_ops.cli.options import json_option, tracking_uri_option, work_dir_option
from medarts_ops.cli.output import command_line, print_facts, print_json, results_console
from medarts_ops.export.names import FORMATS


@click.command(short_help="Write an evaluated network as a file that others can use.")
@click.argument("evaluation", metavar="RUN_ID|NAME")
@click.option(
    "--format", "chosen", type=click.Choice(FORMATS), help="Format of the file.  [default: --output's ending, or pt2]"
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file.  [default: ./<evaluation>.<format>]"
)
@tracking_uri_option
@work_dir_option
@json_option
def command(
    *,
    evaluation: str,
    chosen: str | None,
    output: Path | None,
    tracking_uri: str | None,
    work_dir: Path,
    as_json: bool,
) -> None:
    """Write the network that an evaluation trained, by its name or the id of its run.

    The file takes images as floats in 0…255, [image, channel, height, width], and normalises them itself; it holds the
    class names and the resolution, too. It is read back and compared with the network before it counts. onnx and
    safetensors need: pip install 'medarts-ops[export]'.

    \b
    Examples:
      medarts export evaluate-cifar10-20260101-120000-ab12
      medarts export 0123456789abcdef0123456789abcdef --format onnx
      medarts export mine --output birds.safetensors
    """
    from medarts_ops.export.formats import export_network, format_of, require
    from medarts_ops.tracking.evaluated_network import evaluated_network

    format = format_of(Path(f"x.{chosen}") if chosen else output or Path("x.pt2"))
    require(format)
    path = output or Path(f"{evaluation}.{format}")
    written = export_network(evaluated_network(evaluation, tracking_uri=tracking_uri, work_dir=work_dir), path, format)
    if as_json:
        print_json(
            {
                "path": str(written.path),
                "format": written.format,
                "bytes": written.bytes,
                "largest_difference": written.largest_difference,
            }
        )
        return
    console = results_console()
    facts = [
        ("file", f"{written.path}, {written.bytes / 2**20:,.1f} MiB"),
        ("checked", f"its logits differ by at most {written.largest_difference:.1g} at batch 1, 2 and 7"),
    ]
    print_facts(console, facts)
    console.print()
    trust = ["--trusted"] if written.format == "pt2" else []
    console.print(f"Next:\n  {command_line('predict', str(written.path), *trust)} IMAGE…")
