"""An SQL statement as it is asked."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from consentryd.analytics.sandbox.check import MAX_SQL_CHARS
from consentryd.analytics.shape import Shape, Text


class Statement(Shape):
    sql: Annotated[
        str, Field(min_length=1, max_length=MAX_SQL_CHARS, description="One SELECT over events, sessions and subjects.")
    ]
    region: Text | None = Field(None, description="Needed where the site has several regions.")


STATEMENT: Final = TypeAdapter(Statement)
