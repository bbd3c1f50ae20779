"""The browser SDK as it is served: built from `sdk_js/`, shipped inside the package, never changed at run time."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

_HERE = files(__package__)

_MANIFEST: Final[dict[str, Any]] = json.loads(_HERE.joinpath("manifest.json").read_bytes())

#: The SDK's version, as in `/sdk/<version>.js` and `/sdk/<version>/<name>`.
VERSION: Final[str] = _MANIFEST["version"]

#: What can be served: `sdk.js` (with capture), `core.js`, `signals.js` (loaded by `sdk.js` where needed), `stub.js`.
NAMES: Final[tuple[str, ...]] = tuple(_MANIFEST["files"])


@cache
def bundle(name: str) -> bytes:
    """The script of that name, UTF-8. Raises `KeyError` for a name that is not in `NAMES`."""
    if name not in NAMES:
        raise KeyError(name)
    return _HERE.joinpath(name).read_bytes()


def integrity(name: str) -> str:
    """The script's subresource integrity value, `sha384-...`. Raises `KeyError` for a name that is not in `NAMES`."""
    value: str = _MANIFEST["files"][name]["integrity"]
    return value
