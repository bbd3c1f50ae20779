"""The base of every query model: closed, frozen, and silent about values in its errors."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_TEXT: Final = 1_000


class Shape(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        allow_inf_nan=False,
        defer_build=True,  # a hundred models, which a start of the gateway and most commands do without
    )


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_no_nul)]
EventName = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_no_nul)]
PropertyName = Annotated[
    str,
    Field(min_length=1, max_length=200, description="A column such as `country`, or a property: `plan`, `user.plan`, `/a.b`."),
    AfterValidator(_no_nul),
]
