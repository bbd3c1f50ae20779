"""Consentry: a self-hosted, privacy-first event collection gateway."""

import os

#: Read by Arrow when it is loaded: what it takes unasked, as in writing Parquet, comes from the system's allocator too, which gives it back
#: (`storage.schema.use_system_memory`). Rewriting a file takes 35 MB less.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
#: Read by the allocator within the Delta library when that is loaded. It would keep some memory for each of up to thirty threads: a megabyte
#: more with each 100,000 events sealed (`docs/decisions/0053-what-a-gateway-holds.md`).
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,tcache:false,dirty_decay_ms:0,muzzy_decay_ms:0")

__version__ = "0.1.0"
