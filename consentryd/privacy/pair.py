"""Pairs of a name and a value, as forms, headers and attributes come: `{"name": "email", "value": ...}`, `[["email", ...], ...]`."""

from __future__ import annotations

from typing import Any, Final

#: Under these keys stands a value, and under those what it is called.
VALUES: Final = frozenset({"value", "Value", "val", "v", "fieldValue", "field_value", "answer", "attr__value"})
NAMES: Final = (
    "name", "Name", "key", "Key", "k", "field", "fieldName", "field_name", "label", "property", "attribute", "param", "parameter", "header",
    "id", "type", "system", "elementName", "element_name", "inputName", "input_name", "fieldLabel", "field_label", "question", "attr__name",
)  # fmt: skip
_NAMED: Final = frozenset(NAMES)

_LENGTH: Final = 2


def names_in(box: dict[str, Any]) -> list[str]:
    """What an object with a value may call it."""
    named = _NAMED.intersection(box)
    if len(named) > 1:
        return [box[key] for key in NAMES if key in named and type(box[key]) is str]
    return [box[key] for key in named if type(box[key]) is str]


def are_pairs(box: list[Any]) -> bool:
    """Whether a list holds lists of a name and a value, and nothing else."""
    return (
        bool(box)
        and type(box[0]) is list
        and all(type(each) is list and len(each) == _LENGTH and type(each[0]) is str for each in box)
    )
