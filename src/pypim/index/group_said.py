"""Says of a group which member answers for a project and what the others have, from what each of them said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import ProjectNotFound, PypimError
from pypim.core.filenames import parse_filename, parse_version
from pypim.core.priority import Answered, compose

if TYPE_CHECKING:
    from pypim.core.model import Page
    from pypim.index.group import Survey


class MemberSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What one member of a group has of a project, and what comes of it."""

    member: str
    outcome: str
    """answers, merged (its files are taken, too), passed-over, has-none, not-asked or fails."""
    files: int | None = None
    """None where it has no such project, or did not say."""
    versions: tuple[str, ...] = ()
    """Those with files, the oldest first."""
    reason: str = ""


class GroupSaid(msgspec.Struct, frozen=True, kw_only=True):
    """Which member of a group answers for a project."""

    index: str
    project: str
    winner: str | None
    """None where the group fails, and where the name is only reserved."""
    verdict: str
    members: tuple[MemberSaid, ...]
    """In their order."""
    conflicts: tuple[str, ...] = ()
    """One sentence for each file name that two members give to different bytes."""


def explain(index: str, survey: Survey, version: str = "") -> GroupSaid:
    """What a survey means; with `version` only files of that release count. Raises ProjectNotFound."""
    answers = [answer for answer in survey.answers if isinstance(answer, Answered)]
    fault = first_fault(survey)
    is_reserved = bool(survey.reserved_by)
    composition = compose(survey.project, answers, is_merged=survey.is_merged, is_reserved=is_reserved)
    if fault is None and composition is None:
        raise ProjectNotFound(survey.project, index)
    winner = composition.winner if composition is not None and fault is None else None
    return GroupSaid(
        index=index,
        project=survey.project,
        winner=winner,
        verdict=_verdict(index, survey, winner, fault),
        members=tuple(
            _member(survey, member, answer, winner, version)
            for member, answer in zip(survey.members, survey.answers, strict=True)
        ),
        conflicts=composition.page.dropped if composition is not None and survey.is_merged else (),
    )


def first_fault(survey: Survey) -> PypimError | None:
    """What makes the group fail: a member that fails before one that answers, or any where all files are taken."""
    for answer in survey.answers:
        if isinstance(answer, PypimError):
            return answer
        if answer is not None and answer.page is not None and not survey.is_merged:
            return None
    return None


def _verdict(index: str, survey: Survey, winner: str | None, fault: PypimError | None) -> str:
    project = survey.project
    if fault is not None:
        return f"{index} answers nothing for {project}: a member fails, and what it has nobody else may replace"
    if winner is None:
        return f"{index} answers with no files for {project}: the name is reserved by {', '.join(survey.reserved_by)}"
    if survey.is_merged:
        return f"{index} answers for {project} with the files of all members, for `merge` names it"
    reserved = ", which reserves the name" if winner in survey.reserved_by else ""
    return f"{index} answers for {project} with what {winner} has{reserved}"


def _member(
    survey: Survey, member: str, answer: Answered | PypimError | None, winner: str | None, version: str
) -> MemberSaid:
    if answer is None:
        reason = f"{survey.project} is reserved by {', '.join(survey.reserved_by)}"
        return MemberSaid(member=member, outcome="not-asked", reason=reason)
    if isinstance(answer, PypimError):
        return MemberSaid(member=member, outcome="fails", reason=answer.message)
    if answer.page is None:
        return MemberSaid(member=member, outcome="has-none")
    files, versions = _offered(answer.page, version)
    outcome = "answers" if member == winner else "merged" if survey.is_merged else "passed-over"
    reason = "" if answer.page.status == "active" else f"the project is {answer.page.status}"
    return MemberSaid(member=member, outcome=outcome, files=files, versions=versions, reason=reason)


def _offered(page: Page, version: str) -> tuple[int, tuple[str, ...]]:
    """(number of files, their versions in order), of one release where a version is given."""
    parsed = [parse_filename(file.filename, page.name) for file in page.files]
    if version:
        wanted = parse_version(version)
        parsed = [one for one in parsed if version == one.version_text or (one.version and one.version == wanted)]
    valid = sorted({one.version for one in parsed if one.version is not None})
    others = sorted({one.version_text for one in parsed if one.version is None and one.version_text})
    return len(parsed), (*others, *map(str, valid))
