"""How an upstream is followed, as its table in the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.followed import FollowRules, Patience, Way

if TYPE_CHECKING:
    from pypim.config.document import UpstreamTable
    from pypim.config.reading import Reading
    from pypim.core.positions import KeyPath


def follow_rules(reading: Reading, path: KeyPath, table: UpstreamTable) -> FollowRules:
    """The rules of one upstream; faults go to the reading."""
    patience = Patience(
        stale_seconds=reading.seconds((*path, "stale-after"), table.stale_after),
        confirmations=table.removal_confirmations,
        confirmed_over_seconds=reading.seconds((*path, "removal-time"), table.removal_time),
        most_removed=table.most_removed,
        most_removed_share=table.most_removed_percent / 100,
    )
    return FollowRules(way=None if table.follow == "auto" else Way(table.follow), patience=patience)
