"""Indexes as values of one interface; none of them knows a sibling."""
