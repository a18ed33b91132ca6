"""An objective: few skip-connections."""

from medarts_ops.individual import TrainedIndividual
from medarts_ops.objectives.measuring import MeasuringContext, Objective


def skips(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """Skip-connections of both cells: many of them are the best-known failure of differentiable search."""
    return float(trained.genotype.skip_count("normal") + trained.genotype.skip_count("reduce"))


SKIPS = Objective(skips, "minimize", "skip-connections of both cells", label="skip-connections")
