"""The promises between layers: small Protocols with what is raised, retried, called twice, and safe to cancel.

Everything that does I/O stands behind one of these; `wiring` chooses who stands there. One contract suite per port
(`tests/contracts/`) is run on every implementation.
"""

from pypim.ports.facts import Facts
from pypim.ports.holding import (
    Blobs,
    Findings,
    Generations,
    Holdings,
    Plans,
    Published,
    Readings,
    Runs,
    StagedBlob,
    Tree,
    Walks,
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
    Backlog,
    Capabilities,
    Fetcher,
    Following,
    Follows,
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
    "Backlog",
    "Blobs",
    "Cached",
    "Capabilities",
    "Clock",
    "Epochs",
    "Facts",
    "Fetcher",
    "Findings",
    "Following",
    "Follows",
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
    "Readings",
    "Reporter",
    "Runs",
    "Served",
    "Serving",
    "SizeReader",
    "Sizes",
    "StagedBlob",
    "Tree",
    "Turns",
    "Walks",
]
