"""What a person may ask of a job; stored with it, and pinned like its model version."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import OptionsError

OutputFormat = Literal["same", "jpeg", "png", "tiff", "webp", "jpeg2000", "avif"]
ColorInput = Literal["skip", "colorize"]


class JobOptions(BaseModel):
    """Options of a job; without any, photographs come out as true to the original as can be.

    The fields' descriptions say in words what they take, for whoever gave something else.

    Args:
        saturation: factor on the predicted chroma; 0 gives gray, 1 what the model says.
        network_edge_px: short side of what the network sees, in pixels; None for the size that suits the model best.
        output_format: "same" keeps the original's format.
        quality: of results in a lossy format.
        mark: whether results carry a small visible mark.
        color_input: what becomes of photographs that are in color already.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    saturation: float = Field(default=1.0, ge=0, le=2, description="a number from 0 to 2")
    network_edge_px: int | None = Field(default=None, ge=64, le=512, description="a whole number from 64 to 512")
    output_format: OutputFormat = Field(
        default="same", description="one of same, jpeg, png, tiff, webp, jpeg2000, avif"
    )
    quality: int = Field(default=95, ge=50, le=100, description="a whole number from 50 to 100")
    mark: bool = Field(default=False, description="true or false")
    color_input: ColorInput = Field(default="skip", description="skip or colorize")


OPTION_NAMES = tuple(JobOptions.model_fields)


def parse_options(given: Mapping[str, str]) -> JobOptions:
    """Options from their texts, as a form or a command line has them; an empty text is as good as none.

    Raises:
        OptionsError: `bad_option`, naming the first option that is wrong, and what it takes.
    """
    try:
        return JobOptions.model_validate({name: text for name, text in given.items() if text.strip()})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        if name not in OPTION_NAMES:
            raise OptionsError("bad_option", f"There is no option {name}.") from error
        raise OptionsError("bad_option", f"{name} must be {JobOptions.model_fields[name].description}.") from error
