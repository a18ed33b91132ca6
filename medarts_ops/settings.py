"""What a setting is: a field with the origin of its default; and the bounds that slips of the finger meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator, model_validator

from medarts_ops.value import Value

Origin = Literal["paper", "DARTS", "publication", "ours"]

# Upper bounds, far beyond what anybody trains (ours): a slip of the finger is refused here, not by memory at its end.
MAX_CELLS = 1_000
MAX_CHANNELS = 100_000
MAX_EPOCHS = 1_000_000
MAX_STEPS = 1_000_000  # an epoch has one at least
MAX_BATCH = 1_000_000
MAX_IMAGES = 1_000_000_000
MAX_SIDE = 4_096
MAX_PIXELS = 4_000_000_000
MAX_INDIVIDUALS = 10_000
MAX_ROUNDS = 1_000
MAX_AT_A_TIME = 1_024


Images = Annotated[int, Field(ge=2, le=MAX_IMAGES)] | Annotated[float, Field(gt=0, le=1)]
"""The size of a D_sample: a number, or a share of the largest possible."""


StemKind = Literal["cifar", "imagenet"]
"""What stands before the cells: one convolution, or three of stride 2, which leave an eighth of a side (DARTS)."""

StemChoice = Literal["auto", "cifar", "imagenet"]
"""The same as it is asked for."""

PHOTO_SIDE = 96
"""Images with both sides as long, or longer, have the stem `imagenet` by `auto` (ours): 12×12 reach the cells."""

STEM_BEFORE: Mapping[str, StemKind] = {"stem": "cifar"}
"""What settings that don't say their stem meant: those of releases that had no choice."""


MATRIX_SIDE, MOST_MATRIX_SIDE = 8, 16
"""Side of the largest maps whose depthwise convolutions are matrix products (ours; what a CPU is fastest with), and the
most that can be asked for, whose matrices have 256 × 256 entries a channel."""


Fit = Literal["squash", "crop", "pad"]
"""How an image of another shape comes to a size: distorted, its centre cut out, or whole between margins."""


def setting(default: Any, origin: Origin, description: str, **bounds: Any) -> Any:
    """A config field: its default, where that comes from, one sentence, and its bounds."""
    return Field(default, description=description, json_schema_extra={"origin": origin}, **bounds)


def resolved(model: type[Value], name: str) -> Any:
    """A config field in the type of resolved settings: described as in `model`, and never left to a default.

    One of the model's `as_before` has that instead, which records of earlier releases read as.
    """
    field, default = model.model_fields[name], model.as_before.get(name, ...)
    return Field(default, description=field.description, json_schema_extra=field.json_schema_extra)


class Settings(Value):
    """A group of settings. NaN and infinity are no settings, and true and false are no numbers."""

    model_config = ConfigDict(allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _true_is_no_number(cls, given: object, check: ValidatorFunctionWrapHandler) -> object:
        """Python's `True` is a 1, which pydantic would take it for."""
        taken = check(given)
        if isinstance(given, bool) and isinstance(taken, int | float) and not isinstance(taken, bool):
            check(str(given))  # no number: refused with all that is allowed
        return taken


class NamedSettings(Settings):
    """Settings of something with a name, which may stand for all of them."""

    @model_validator(mode="before")
    @classmethod
    def _may_be_the_name(cls, given: object) -> object:
        return {"name": given} if isinstance(given, str) else given
