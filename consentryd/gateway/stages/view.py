"""The page an event happened on, coarse: where, from where, under which title."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from consentryd.model.memory import keep
from consentryd.privacy.cut import beginning
from consentryd.privacy.url import NO_PAGE, Page, coarsen_url

_REMEMBERED: Final = 4096


class View(NamedTuple):
    """`referrer` is a host; `title` is longer than what is kept of it, until it was scrubbed."""

    page: Page
    referrer: str | None
    title: str | None


NO_VIEW: Final = View(NO_PAGE, None, None)


class Views:
    """Reads what a context or a page call says of its page; keeps the query parameters named, and titles if `titles`."""

    def __init__(self, query_parameters: Collection[str], titles: bool) -> None:
        self._query_parameters = frozenset(query_parameters)
        self._titles = titles
        self._pages: dict[int, Page] = {}

    def read(self, told: Mapping[str, Any]) -> View:
        url, referrer, title = told.get("url"), told.get("referrer"), told.get("title")
        if not isinstance(url, str) or not url:
            url = told.get("path")
        page = self._coarsen(url) if isinstance(url, str) else NO_PAGE
        host = self._coarsen(referrer).host if isinstance(referrer, str) and referrer else None
        return View(page, host, beginning(title) if self._titles and isinstance(title, str) else None)

    def _coarsen(self, url: str) -> Page:
        """What is kept of a URL. URLs repeat from event to event; they are known by their hash (SipHash with the process's own key)."""
        key = hash(url)
        page = self._pages.get(key)
        if page is None:
            page = keep(self._pages, key, coarsen_url(url, self._query_parameters), _REMEMBERED)
        return page
