"""`medarts genotypes`."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from medarts_ops.cli.main import medarts
from medarts_ops.space.formats import parse_genotype
from medarts_ops.space.zoo import zoo, zoo_genotype


def invoke(*words: str) -> Result:
    return CliRunner().invoke(medarts, ["genotypes", *words])


def test_the_zoo_is_listed_with_exact_counts() -> None:
    lines = [line.split() for line in invoke().stdout.splitlines()]
    assert ["DARTS_V2", "3,349,342", "3,401,272", "476,426", "DARTS", "2nd", "order"] in lines
    assert {line[0] for line in lines[1:]} >= set(zoo())


def test_one_genotype_is_printed_in_a_form_that_is_read_again() -> None:
    assert parse_genotype(invoke("DARTS_V1").stdout) == zoo_genotype("DARTS_V1")
    assert parse_genotype(invoke("DARTS_V1", "--json").stdout) == zoo_genotype("DARTS_V1")


def test_json_holds_every_row() -> None:
    rows = json.loads(invoke("--json").stdout)
    assert [row["name"] for row in rows] == list(zoo())


def test_an_unknown_name_is_one_line_with_the_near_miss() -> None:
    result = invoke("DARTS_V3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'DARTS_V" in result.stderr
    assert result.stderr.count("\n") == 1
