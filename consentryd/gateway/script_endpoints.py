"""The endpoints that serve the browser SDK."""

from __future__ import annotations

from typing import Final

from consentryd.gateway import sdk
from consentryd.gateway.endpoint import Endpoint, Handler, Parameter
from consentryd.gateway.script import get_part, get_release, latest


def _script(path: str, summary: str, handler: Handler, *parameters: Parameter) -> Endpoint:
    # no `cors`: the answer is the same for every origin and says so itself
    return Endpoint(
        method="GET",
        path=path,
        tag="SDK scripts",
        summary=summary,
        handler=handler,
        parameters=parameters,
        media_type="text/javascript",
        logged=False,
    )


SCRIPT_ENDPOINTS: Final = (
    _script("/sdk.js", "The browser SDK; pages may keep it for an hour.", latest("sdk.js")),
    _script("/core.js", "The browser SDK without capture and banner signals.", latest("core.js")),
    _script("/stub.js", "Takes calls before the SDK is there.", latest("stub.js")),
    _script(
        "/sdk/{script}",
        "`/sdk/<version>.js`: the browser SDK of one version, kept for ever; `consentry snippet` prints its hash.",
        get_release,
        Parameter(
            "script", "Its version and `.js`.", {"type": "string", "enum": [f"{sdk.VERSION}.js"]}, location="path", required=True
        ),
    ),
    _script(
        "/sdk/{version}/{script}",
        "A script of one version, kept for ever; `sdk.js` loads its `signals.js` from here.",
        get_part,
        Parameter("version", "Its version.", {"type": "string", "enum": [sdk.VERSION]}, location="path", required=True),
        Parameter("script", "Its name.", {"type": "string", "enum": list(sdk.NAMES)}, location="path", required=True),
    ),
)
