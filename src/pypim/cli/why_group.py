"""`pypim why PROJECT --index GROUP`: which member answers for a project, and what the others have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.index.group_said import explain, first_fault

if TYPE_CHECKING:
    from pypim.cli.output import Session
    from pypim.config.model import Config
    from pypim.index.group import Survey
    from pypim.index.group_said import MemberSaid

_MOST_VERSIONS = 6


def why_in_group(session: Session, config: Config, index: str, text: str) -> int:
    """Print it. Raises what the member raised for which the group fails closed, once everything is printed.

    Raises ProjectNotFound where every member says for certain that there is no such project.
    """
    from pypim.core.names import parse_name
    from pypim.wiring import run
    from pypim.wiring_server import open_group

    project, _, version = text.partition("==")
    name = parse_name(project.strip())

    async def ask() -> Survey:
        async with open_group(config, index) as group:
            return await group.survey(name)

    survey = run(ask())
    said = explain(index, survey, version.strip())

    def prose() -> None:
        session.say(said.verdict)
        for member in said.members:
            session.say(f"  {_line(member)}")
        for sentence in said.conflicts:
            session.say(f"  {sentence}")

    document = {"command": "why", "kept": (), "groups": (said,)}
    status = session.emit(document, prose)
    if (fault := first_fault(survey)) is not None:
        raise fault
    return status


def _line(member: MemberSaid) -> str:
    words = {
        "answers": "answers",
        "merged": "is taken, too",
        "passed-over": "is passed over",
        "has-none": "has no such project",
        "not-asked": "is not asked",
        "fails": "fails",
    }
    text = f"{member.member} {words[member.outcome]}"
    if member.files is not None:
        text += f": {member.files:,} {'file' if member.files == 1 else 'files'}"
        shown = member.versions[-_MOST_VERSIONS:]
        more = "… " if len(member.versions) > len(shown) else ""
        text += f" ({more}{', '.join(shown)})" if shown else ""
    return f"{text}: {member.reason}" if member.reason else text
