"""What an event is worth: an amount and its currency, as its properties tell them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

#: An amount, a decimal of four places, and its currency.
Money = tuple[str | None, str | None]

#: The properties that tell it.
TELLING: Final = frozenset({"revenue", "currency"})

NO_MONEY: Final[Money] = (None, None)

_MOST: Final = Decimal(10) ** 13
_CURRENCY_CHARS: Final = 3


def money_of(properties: Any) -> Money:
    """`properties.revenue` as a decimal of four places and the currency beside it; None for what is no amount of money, and where a rule
    left no properties."""
    if not isinstance(properties, dict):
        return NO_MONEY
    value = properties.get("revenue")
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return NO_MONEY
    try:
        amount = Decimal(str(value)).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None, None
    if not amount.is_finite() or abs(amount) > _MOST:
        return None, None
    currency = properties.get("currency")
    valid = isinstance(currency, str) and len(currency) == _CURRENCY_CHARS and currency.isascii() and currency.isalpha()
    return str(amount), currency.upper() if valid and isinstance(currency, str) else None
