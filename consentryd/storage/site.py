"""Of which sites a region holds something, whether or not there are keys for them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import Lake, LakeFile
from consentryd.storage.location import DATABASE
from consentryd.storage.reader import Reader

_NOTED: Final = (
    "SELECT site FROM consent_statistic UNION SELECT site FROM rejected UNION SELECT site FROM legal_hold "
    "UNION SELECT value FROM request, json_each(request.terms, '$.sites')"
)


def stored_sites(region: Path) -> set[str]:
    """The sites of events, choices, dead letters, holds and requests in the folder `region`. Raises `CorruptStore`, `Busy`."""
    with closing(open_database(region / DATABASE, "region", readonly=True)) as connection:
        found = {site for (site,) in connection.execute(_NOTED)}
    lake = DeltaLake(region)
    with closing(Reader(region, lake, tail_events=0)) as reader, reader.snapshot(restricted=False) as snapshot:
        found.update(pc.unique(snapshot.tail["site"]).to_pylist())
        return found.union(*(_sites_in(lake, file) for file in snapshot.state.files))


def _sites_in(lake: Lake, file: LakeFile) -> set[str]:
    first, last = file.sites
    if first == last:
        return {first}
    return {site for table in lake.read(file, ["site"]) for site in pc.unique(table["site"]).to_pylist()}
