"""Thrift's compact protocol, as far as a Parquet footer needs it: any struct to plain values and back, byte for byte. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_INTS: Final = frozenset({_I16, _I32, _I64})
_LONG: Final = 15
_DOUBLE_BYTES: Final = 8

#: Field id to (type, value). A list's value is (type of its elements, elements).
Struct = dict[int, tuple[int, Any]]


def decode(data: bytes) -> Struct:
    """Raises `ValueError` or `IndexError` for what is no struct."""
    return _Reader(data).struct()


def encode(struct: Struct) -> bytes:
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Struct:
        found: Struct = {}
        last = 0
        while head := self.byte():
            kind, delta = head & 0x0F, head >> 4
            last = last + delta if delta else self.zigzag()
            found[last] = kind, self._value(kind, in_field=True)
        return found

    def _value(self, kind: int, *, in_field: bool = False) -> Any:
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE if in_field else self.byte() == _TRUE
        read = _READS.get(kind)
        if read is None:
            raise ValueError(f"a value of type {kind} has no place in a Parquet footer")
        return read(self)

    def list(self) -> tuple[int, list[Any]]:
        head = self.byte()
        size = head >> 4 if head >> 4 != _LONG else self.varint()
        return head & 0x0F, [self._value(head & 0x0F) for _ in range(size)]

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)


_READS: Final[dict[int, Callable[[_Reader], Any]]] = {
    _BYTE: _Reader.byte,
    **dict.fromkeys(_INTS, _Reader.zigzag),
    _DOUBLE: lambda reader: reader.take(_DOUBLE_BYTES),
    _BINARY: lambda reader: reader.take(reader.varint()),
    _LIST: _Reader.list,
    _SET: _Reader.list,
    _STRUCT: _Reader.struct,
}


def _write_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for number, (kind, value) in struct.items():
        written = (_TRUE if value else _FALSE) if kind in {_TRUE, _FALSE} else kind
        if 0 < number - last <= _LONG:
            out.append((number - last) << 4 | written)
        else:
            out.append(written)
            _write_zigzag(out, number)
        last = number
        if kind not in {_TRUE, _FALSE}:
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in {_TRUE, _FALSE}:
        out.append(_TRUE if value else _FALSE)
    elif kind == _BYTE:
        out.append(value)
    elif kind in _INTS:
        _write_zigzag(out, value)
    elif kind == _DOUBLE:
        out += value
    elif kind == _BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind in {_LIST, _SET}:
        inner, elements = value
        if len(elements) < _LONG:
            out.append(len(elements) << 4 | inner)
        else:
            out.append(_LONG << 4 | inner)
            _write_varint(out, len(elements))
        for element in elements:
            _write_value(out, inner, element)
    else:
        _write_struct(out, value)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _write_zigzag(out: bytearray, value: int) -> None:
    _write_varint(out, (value << 1) ^ (value >> 63) if value < 0 else value << 1)
