"""A client whose keyword arguments are given: what a request's handler is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional, Protocol

from consentry.call import Id


class Calls(Protocol):
    """What `Consentry`, `AsyncConsentry` and `Bound` have in common; the arguments are those of `Consentry`."""

    @property
    def track(self) -> Callable[..., bool]: ...
    @property
    def identify(self) -> Callable[..., bool]: ...
    @property
    def page(self) -> Callable[..., bool]: ...
    @property
    def screen(self) -> Callable[..., bool]: ...
    @property
    def group(self) -> Callable[..., bool]: ...
    @property
    def alias(self) -> Callable[..., bool]: ...


class Bound:
    """`given` are the keyword arguments of `Consentry.track`; those of a call come before them."""

    def __init__(self, client: Calls, given: Mapping[str, Any]) -> None:
        self._client = client
        self.given = dict(given)

    def bind(self, **options: Any) -> Bound:
        return Bound(self._client, {**self.given, **options})

    def track(self, event: str, properties: Optional[Mapping[str, Any]] = None, **options: Any) -> bool:
        return self._client.track(event, properties, **{**self.given, **options})

    def identify(self, user_id: Id, traits: Optional[Mapping[str, Any]] = None, **options: Any) -> bool:
        return self._client.identify(user_id, traits, **self._without_user(options))

    def page(self, name: Optional[str] = None, properties: Optional[Mapping[str, Any]] = None, **options: Any) -> bool:
        return self._client.page(name, properties, **{**self.given, **options})

    def screen(self, name: Optional[str] = None, properties: Optional[Mapping[str, Any]] = None, **options: Any) -> bool:
        return self._client.screen(name, properties, **{**self.given, **options})

    def group(self, group_id: Id, traits: Optional[Mapping[str, Any]] = None, **options: Any) -> bool:
        return self._client.group(group_id, traits, **{**self.given, **options})

    def alias(self, user_id: Id, previous_id: Id, **options: Any) -> bool:
        return self._client.alias(user_id, previous_id, **self._without_user(options))

    def _without_user(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in {**self.given, **options}.items() if name != "user_id"}
