"""Formulas over series: letters, + - * / ^, parentheses, min, max, abs, round. Null-safe: what cannot be computed is null."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, Final

MAX_FORMULA: Final = 500
_MAX_POWER: Final = 1_000
_MAX_INTEGER: Final = 2**63 - 1
#: So many digits before the point, and as many after it, have room in one column.
_DIGITS: Final = 38

Value = int | float | Decimal | None

_FUNCTIONS: Final[dict[str, tuple[int, int]]] = {"min": (1, 26), "max": (1, 26), "abs": (1, 1), "round": (1, 2)}


class Formula:
    """A formula once read. Raises `ValueError` with the reason for what is none."""

    def __init__(self, text: str, letters: str) -> None:
        if len(text) > MAX_FORMULA:
            raise ValueError(f"is longer than {MAX_FORMULA} characters")
        try:
            self._tree = ast.parse(text.replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ValueError("is no formula") from None
        self.letters: set[str] = set()
        self._check(self._tree, letters)

    def __call__(self, values: Mapping[str, Value]) -> Value:
        """The result, or null where a part is missing, a divisor is 0, or the result is no finite number. It is a float where tables have
        no other column for it."""
        try:
            found = _evaluate(self._tree, values)
            if found is not None and not _fits(found):
                found = float(found)
        except (ZeroDivisionError, OverflowError, DivisionByZero, InvalidOperation, Overflow):
            return None
        return None if isinstance(found, float) and found - found != 0 else found

    def tells_few(self, sizes: Mapping[str, int], least: int) -> bool:
        """Whether a sum or difference in it would be one of 1 to `least` - 1 subjects; `sizes`: how many are behind each letter."""
        sums = [node for node in ast.walk(self._tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)]
        try:
            return any(_degree(node) > 0 and 0 < abs(_number(_evaluate(node, sizes))) < least for node in sums)
        except (ZeroDivisionError, OverflowError):
            return True

    def _check(self, node: ast.expr, letters: str) -> None:
        match node:
            case ast.Name(id=name) if name in set(letters):
                self.letters.add(name)
            case ast.Name():
                raise ValueError(f"knows the letters {letters[0]} to {letters[-1]} only")
            case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
                return
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
                self._check(node.left, letters)
                self._check(node.right, letters)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                self._check(node.operand, letters)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                least, most = _FUNCTIONS[name]
                if not least <= len(args) <= most:
                    raise ValueError(f"`{name}` takes {least} to {most} values")
                for each in args:
                    self._check(each, letters)
            case _:
                raise ValueError("takes letters, numbers, + - * / ^, parentheses, min, max, abs and round")


def _evaluate(node: ast.expr, values: Mapping[str, Value]) -> Value:
    match node:
        case ast.Name(id=name):
            return values.get(name)
        case ast.Constant(value=value):
            return value  # type: ignore[return-value] # checked to be a number
        case ast.UnaryOp(op=op, operand=operand):
            inner = _evaluate(operand, values)
            return inner if inner is None or isinstance(op, ast.UAdd) else -inner
        case ast.BinOp(left=left, op=op, right=right):
            return _combine(op, _evaluate(left, values), _evaluate(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, [_evaluate(each, values) for each in args])
    raise AssertionError(node)


def _fits(value: float | Decimal) -> bool:
    """Whether a table has a column for it as it is."""
    if isinstance(value, Decimal):
        return value.adjusted() < _DIGITS and int(value.as_tuple().exponent) >= -_DIGITS
    return isinstance(value, float) or abs(value) <= _MAX_INTEGER


def _number(value: Value) -> float:
    return 0.0 if value is None else float(value)


def _degree(node: ast.expr) -> float:
    """1 of what counts as its letters do, 0 of a number and of a ratio."""
    match node:
        case ast.Name():
            return 1
        case ast.UnaryOp(operand=operand):
            return _degree(operand)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _degree(left) + _degree(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _degree(left) - _degree(right)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return max(_degree(left), _degree(right))
        case ast.BinOp(left=left):
            return _degree(left)
        case ast.Call(args=args):
            return max(_degree(each) for each in args)
        case _:
            return 0


def _combine(op: ast.operator, left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    a, b = _alike(left, right)
    found: Value = None
    match op:
        case ast.Add():
            found = a + b
        case ast.Sub():
            found = a - b
        case ast.Mult():
            found = a * b
        case ast.Div() if b != 0:
            found = a / b
        case ast.Pow() if abs(b) <= _MAX_POWER:
            power = float(a) ** float(b)
            found = None if isinstance(power, complex) else power
    return found


def _call(name: str, values: list[Value]) -> Value:
    known: list[Any] = [value for value in values if value is not None]
    found: Value
    if len(known) < len(values):
        return None
    match name:
        case "min":
            found = min(known)
        case "max":
            found = max(known)
        case "abs":
            found = abs(known[0])
        case _:
            places = int(known[1]) if len(known) > 1 else 0
            found = round(known[0], max(-15, min(15, places)))
    return found


def _alike(left: float | Decimal, right: float | Decimal) -> tuple[Any, Any]:
    """Money stays decimal with whole numbers and money; with a float it becomes one."""
    if isinstance(left, float) or isinstance(right, float):
        return float(left), float(right)
    return left, right
