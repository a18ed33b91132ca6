"""The best-known failure of differentiable search, in one sentence: a normal cell of skip-connections."""

from __future__ import annotations

from medarts_ops.space.genotype import Genotype

USUAL_SKIPS = 2
"""P-DARTS allows so many, DARTS+ stops at so many."""


def collapse_warning(genotype: Genotype) -> str | None:
    """What a found normal cell with more than two skip-connections often means, and what to do; None with fewer."""
    skips = genotype.skip_count("normal")
    if skips <= USUAL_SKIPS:
        return None
    return (
        f"the normal cell has {skips} skip-connections, more than {USUAL_SKIPS}: often a search that collapsed, whose "
        f"network trains easily and generalises badly; search with max_skips={USUAL_SKIPS}, or evaluate another "
        "individual"
    )
