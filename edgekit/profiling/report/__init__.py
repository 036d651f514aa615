"""The report: a profile as one HTML file that needs nothing else, on a desktop, on a phone and on paper."""

from __future__ import annotations

from edgekit.runtime.profiler.profile import Profile

__all__ = ["render"]


def render(profile: Profile) -> str:
    """The report on *profile*, as HTML.

    Raises:
        ValueError: The samples of a process are damaged.
        EdgekitError: ``EK-MISSING-PACKAGE``: the packages that draw charts are not installed.
    """
    from edgekit.errors import EdgekitError

    try:
        from edgekit.profiling.report.page import html
    except ModuleNotFoundError as error:
        what = f"a report is drawn with {error.name}, which is not installed"
        raise EdgekitError("EK-MISSING-PACKAGE", what, 'pip install "edgekit[profile]"') from error
    return html(profile)
