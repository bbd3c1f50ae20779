"""Where a value of an event lies: in a column or within the JSON of its properties."""

from __future__ import annotations

from typing import Final, NamedTuple

from consentryd.analytics import literal
from consentryd.model.event import COLUMNS
from consentryd.storage.promoted import extracted, pointer_of, taken

#: Columns that questions may name. Not among them: ids, evidence of consent, and what scrubbing noted.
READABLE: Final = frozenset({
    "type", "event", "session", "country", "subdivision", "device", "os", "browser", "browser_major", "host", "path", "title",
    "referrer_host", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "revenue", "currency", "lane", "purpose",
})  # fmt: skip
_TEXT_COLUMNS: Final = frozenset(column.name for column in COLUMNS if column.kind == "string")


class Field(NamedTuple):
    """`text` is SQL for the value as text (numbers and truth values too; null where missing), `source` for the JSON it is from, if any."""

    text: str
    pointer: str | None = None
    source: str = ""
    #: The text as it was sent: `5.0` for the whole number 5. It costs half of `text`, for what both of them answer alike.
    written: str | None = None

    @property
    def sent(self) -> str:
        return self.text if self.written is None else self.written

    @property
    def number(self) -> str:
        """SQL for the value as DOUBLE; null where it does not parse as a finite number."""
        cast = f"TRY_CAST({self.sent} AS DOUBLE)"
        return f"CASE WHEN isfinite({cast}) THEN {cast} END"

    @property
    def is_list(self) -> str | None:
        """SQL that says whether the value is a list, if it may be one."""
        if self.pointer is None:
            return None
        return f"json_type({self.source}, {literal.text(self.pointer)}) = 'ARRAY'"

    @property
    def sent_elements(self) -> str:
        """SQL for the elements of a list, as texts as they were sent."""
        return f"""from_json({self.sent}, '["VARCHAR"]')"""

    @property
    def elements(self) -> str:
        """The same as the texts that they would be by themselves."""
        return f"""list_transform(from_json({self.sent}, '["JSON"]'), lambda each: {taken("each").text})"""


def field_of(name: str, row: str = "e") -> Field:
    """The value that a question calls `name`, of the row `row`."""
    if name in READABLE:
        column = f"{row}.{name}"
        return Field(column if name in _TEXT_COLUMNS else f"CAST({column} AS VARCHAR)")
    return property_of(name, row)


def property_of(name: str, row: str = "e") -> Field:
    """A property: `plan`, `user.plan` within an object, or a JSON pointer (RFC 6901) for names with dots: `/a.b`."""
    pointer = pointer_of(name)
    found = extracted(pointer, f"{row}.")
    return Field(found.text, pointer, f"{row}.properties", found.sent)
