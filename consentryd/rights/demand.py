"""What a request asks for, as its sender writes it: checked, and in one form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from consentryd.model.clock import DAY, SECOND
from consentryd.model.error import Unprocessable
from consentryd.model.identity import IdentityKind

#: How long the law gives, and by how much it may be extended once, in days: GDPR article 12(3), CCPA regulations section 7021.
DEADLINES: Final = {"gdpr": (30, 60), "ccpa": (45, 45)}
MOST_IDENTITIES: Final = 100

_Body = TypeVar("_Body", bound=BaseModel)

_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


class RequestType(StrEnum):
    ACCESS = "access"
    PORTABILITY = "portability"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    RECTIFICATION = "rectification"


class RequestStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class NamedIdentity(NamedTuple):
    """An identity as a request gives it. `format` is `raw`, or `sha256`: of an id as it is, of an e-mail address in lower case."""

    kind: IdentityKind
    value: str
    format: str = "raw"


class _Identity(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    type: IdentityKind
    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)]  # as ids of events are taken
    format: Literal["raw", "sha256"] = "raw"

    @model_validator(mode="after")
    def _is_a_hash(self) -> _Identity:
        if self.format == "sha256" and not _SHA256.fullmatch(self.value):
            raise ValueError("a SHA-256 has 64 hex digits: of an id as it is, of an e-mail address in lower case")
        return self


class Demand(BaseModel):
    """The body of `POST /v1/privacy/requests`. Raises `pydantic.ValidationError`; use `read_demand`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: RequestType
    identities: list[_Identity] = Field(default=[], max_length=MOST_IDENTITIES)
    sites: list[str] = Field(default=[], max_length=1000)
    reason: str | None = Field(None, max_length=1000)
    request_id: Annotated[str, Field(pattern=f"^{_ID.pattern}$")] | None = None
    regulation: Literal["gdpr", "ccpa"] = "gdpr"
    block: Literal["forever", "until", "no"] | None = None
    block_until: AwareDatetime | None = None
    purposes: list[str] = Field(default=[], max_length=100)
    corrections: dict[str, Any] = Field(default={}, max_length=100)
    lift: bool = False
    callbacks: list[str] = Field(default=[], max_length=10)

    @model_validator(mode="after")
    def _fits_its_type(self) -> Demand:
        if (self.block == "until") != (self.block_until is not None):
            raise ValueError("block_until goes with block: until, and only with it")
        if bool(self.corrections) != (self.type is RequestType.RECTIFICATION):
            raise ValueError("corrections go with a rectification, and only with it")
        if self.block is not None and self.type is not RequestType.ERASURE:
            raise ValueError("block goes with an erasure")
        if self.purposes and self.type is not RequestType.OBJECTION:
            raise ValueError("purposes go with an objection: any other request is about all of a person's data")
        if self.lift and self.type is not RequestType.RESTRICTION:
            raise ValueError("lift goes with a restriction")
        return self

    @property
    def named(self) -> tuple[NamedIdentity, ...]:
        return _named(self.identities)

    @property
    def blocked_until(self) -> int | None:
        """UTC microseconds; None: for ever."""
        return None if self.block_until is None else _microseconds(self.block_until)


class Hold(BaseModel):
    """The body of `POST /v1/privacy/holds`. Raises `pydantic.ValidationError`; use `read_hold`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    identities: list[_Identity] = Field(min_length=1, max_length=MOST_IDENTITIES)
    reason: str = Field(min_length=1, max_length=1000)
    lift: bool = False

    @property
    def named(self) -> tuple[NamedIdentity, ...]:
        return _named(self.identities)


class Readmission(BaseModel):
    """The body of `POST /v1/privacy/readmissions`. Raises `pydantic.ValidationError`; use `read_readmission`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    identities: list[_Identity] = Field(min_length=1, max_length=MOST_IDENTITIES)
    reason: str = Field(min_length=1, max_length=1000)

    @property
    def named(self) -> tuple[NamedIdentity, ...]:
        return _named(self.identities)


def read_demand(body: Any) -> Demand:
    """Raises `Unprocessable`, which names the members that are wrong and never their values."""
    return _read(Demand, body, "The request is not one that can be worked on.")


def read_hold(body: Any) -> Hold:
    """As `read_demand`."""
    return _read(Hold, body, "A hold has `identities`, a `reason`, and `lift` to end it.")


def read_readmission(body: Any) -> Readmission:
    """As `read_demand`."""
    return _read(Readmission, body, "A readmission has `identities` and a `reason`.")


def _read(model: type[_Body], body: Any, message: str) -> _Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = [
            {"at": ".".join(map(str, each["loc"])), "problem": each["msg"].removeprefix("Value error, ")}
            for each in error.errors(include_input=False)
        ]
        raise Unprocessable("invalid", message, problems=problems) from None


def _named(identities: Iterable[_Identity]) -> tuple[NamedIdentity, ...]:
    return tuple(dict.fromkeys(NamedIdentity(each.type, each.value, each.format) for each in identities))


def deadline(received_at: int, regulation: str, *, extended: bool = False) -> int:
    """The last moment to answer, UTC microseconds."""
    days, extension = DEADLINES[regulation]
    return received_at + (days + extension * extended) * DAY


def _microseconds(time: datetime) -> int:
    return int(time.timestamp()) * SECOND + time.microsecond
