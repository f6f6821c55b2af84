"""The machine that pypim runs on, as a target: what a mirror without a configuration is for."""

from __future__ import annotations

import platform
import sys

from pypim.core.target import TargetSpec, machine_platform


def this_machine() -> TargetSpec:
    """This interpreter's Python version, platform and implementation."""
    from packaging.tags import platform_tags

    return TargetSpec(
        python=(f"{sys.version_info.major}.{sys.version_info.minor}",),
        platforms=(machine_platform(platform_tags()),),
        implementations=(platform.python_implementation().lower(),),
    )
