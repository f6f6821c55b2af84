"""The promises between layers: small Protocols with what is raised, retried, called twice, and safe to cancel.

Everything that does I/O stands behind one of these; `wiring` chooses who stands there. One contract suite per port
(`tests/contracts/`) is run on every implementation.
"""

from pypim.ports.holding import (
    Blobs,
    Findings,
    Generations,
    Holdings,
    Plans,
    Published,
    Runs,
    StagedBlob,
    Tree,
)
from pypim.ports.serving import (
    Accounts,
    Arriving,
    Audit,
    Background,
    Cached,
    Epochs,
    Hosted,
    Hosting,
    Served,
    Serving,
    Turns,
)
from pypim.ports.surroundings import (
    Clock,
    Reporter,
)
from pypim.ports.upstreams import (
    Capabilities,
    Fetcher,
    Incoming,
    Index,
    Known,
    MetadataCache,
    MetadataReader,
    Pages,
    SizeReader,
    Sizes,
)

__all__ = [
    "Accounts",
    "Arriving",
    "Audit",
    "Background",
    "Blobs",
    "Cached",
    "Capabilities",
    "Clock",
    "Epochs",
    "Fetcher",
    "Findings",
    "Generations",
    "Holdings",
    "Hosted",
    "Hosting",
    "Incoming",
    "Index",
    "Known",
    "MetadataCache",
    "MetadataReader",
    "Pages",
    "Plans",
    "Published",
    "Reporter",
    "Runs",
    "Served",
    "Serving",
    "SizeReader",
    "Sizes",
    "StagedBlob",
    "Tree",
    "Turns",
]
