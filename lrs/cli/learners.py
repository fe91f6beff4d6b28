"""`lrs people list`, `merge`, `detach`, `rename`, `delete` and `restore`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import click

from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.cli.database import record_change, run_with_database
from lrs.cli.options import (
    DATABASE,
    load_settings,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.errors import OperatorError
from lrs.people import changes, learners
from lrs.people.changes import LearnerChange
from lrs.people.learners import Learner
from lrs.plurals import quantity
from lrs.projection.partner_lock import PartnerLock
from lrs.reports import identifiers
from lrs.reports.identifiers import Identifier
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import Partner

_COLUMNS = ("id", "user", "records", "last_activity_at", "identifiers", "name")
_PAGE_SIZE = 1000

_learner_argument = click.argument("learner", metavar="LEARNER")
_preview_option = click.option("--preview", is_flag=True, help="Dry run: show what would change.")


@click.command("list")
@partner_argument
@click.option("--unmatched", is_flag=True, help="Only learners whom no import matched.")
@click.option("--deleted", is_flag=True, help="Only deleted learners.")
@json_option
@setting_options(*DATABASE)
def people_list(
    partner_name: str, unmatched: bool, deleted: bool, as_json: bool, **options: Any
) -> None:
    """List the learners of PARTNER with the number of their records."""

    async def fetch(database: Database) -> list[Learner]:
        partner = await registry.get_partner(database, partner_name)
        listed: list[Learner] = []
        while page := await learners.fetch_page(
            database.writers,
            partner.partner_id,
            after=listed[-1].user_id if listed else 0,
            limit=_PAGE_SIZE,
            imported=False if unmatched else None,
            deleted=deleted,
        ):
            listed += page
        return listed

    rows = [_row(learner) for learner in run_with_database(load_settings(options), fetch)]
    print_table(_COLUMNS, rows, as_json=as_json)


@click.command("merge")
@partner_argument
@_learner_argument
@click.argument("into", metavar="INTO")
@_preview_option
@setting_options(*DATABASE)
def people_merge(partner_name: str, learner: str, into: str, preview: bool, **options: Any) -> None:
    """Merge LEARNER into another learner, who keeps the id in reports."""

    async def run(lock: PartnerLock, partner: Partner) -> LearnerChange:
        return await changes.merge(
            lock,
            partner.partner_id,
            _learner(partner, learner),
            _learner(partner, into),
            preview=preview,
        )

    change = _run(partner_name, options, run, "learner.merge", preview=preview)
    target = change.into.label if change.into else into
    _echo(preview, "merged", f"{change.learner.label} into {target}", change)


@click.command("detach")
@partner_argument
@_learner_argument
@click.argument("identifier", metavar="IDENTIFIER")
@click.option("--home-page", help="Home page of the account that IDENTIFIER names.")
@_preview_option
@setting_options(*DATABASE)
def people_detach(
    partner_name: str,
    learner: str,
    identifier: str,
    home_page: str | None,
    preview: bool,
    **options: Any,
) -> None:
    """Give IDENTIFIER of LEARNER, with its events, to a new learner."""

    async def run(lock: PartnerLock, partner: Partner) -> LearnerChange:
        return await changes.detach(
            lock,
            partner.partner_id,
            _learner(partner, learner),
            identifiers.parse_identifier(identifier, home_page, partner.home_page),
            preview=preview,
        )

    change = _run(partner_name, options, run, "learner.detach", preview=preview)
    target = f" as {change.into.label}" if change.into else ""
    _echo(preview, "detached", f"{identifier} from {change.learner.label}{target}", change)


@click.command("rename")
@partner_argument
@_learner_argument
@click.argument("user", metavar="[USER]", required=False)
@click.option("--first-name", help="New first name.")
@click.option("--last-name", help="New last name.")
@_preview_option
@setting_options(*DATABASE)
def people_rename(
    partner_name: str,
    learner: str,
    user: str | None,
    first_name: str | None,
    last_name: str | None,
    preview: bool,
    **options: Any,
) -> None:
    """Change the operator's id of LEARNER to USER, or the names."""

    async def run(lock: PartnerLock, partner: Partner) -> LearnerChange:
        return await changes.rename(
            lock,
            partner.partner_id,
            _learner(partner, learner),
            user=user,
            first_name=first_name,
            last_name=last_name,
            preview=preview,
        )

    change = _run(partner_name, options, run, "learner.rename", preview=preview)
    _echo(preview, "renamed", f"{learner} to {user or change.learner.name}", change)


@click.command("delete")
@partner_argument
@_learner_argument
@_preview_option
@setting_options(*DATABASE)
def people_delete(partner_name: str, learner: str, preview: bool, **options: Any) -> None:
    """Delete LEARNER from the reports, also for later statements. Statements stay."""

    async def run(lock: PartnerLock, partner: Partner) -> LearnerChange:
        return await changes.delete(
            lock, partner.partner_id, _learner(partner, learner), preview=preview
        )

    change = _run(partner_name, options, run, "learner.delete", preview=preview)
    number = f"id:{change.learner.user_id}"
    label = change.learner.label
    _echo(preview, "deleted", label if label == number else f"{label} ({number})", change)


@click.command("restore")
@partner_argument
@_learner_argument
@_preview_option
@setting_options(*DATABASE, "vocabulary_path")
def people_restore(partner_name: str, learner: str, preview: bool, **options: Any) -> None:
    """Undo the deletion of LEARNER; import names and memberships again."""
    vocabulary = load_configured_vocabulary(load_settings(options))

    async def run(lock: PartnerLock, partner: Partner) -> LearnerChange:
        return await changes.restore(
            lock, partner.partner_id, _learner(partner, learner), vocabulary, preview=preview
        )

    change = _run(partner_name, options, run, "learner.restore", preview=preview)
    _echo(preview, "restored", change.learner.label, change)


COMMANDS = (people_list, people_merge, people_detach, people_rename, people_delete, people_restore)


def _run(
    partner_name: str,
    options: dict[str, Any],
    run: Callable[[PartnerLock, Partner], Awaitable[LearnerChange]],
    action: str,
    *,
    preview: bool,
) -> LearnerChange:
    async def change(database: Database) -> LearnerChange:
        partner = await registry.get_partner(database, partner_name)
        changed = await run(PartnerLock(database.writers), partner)
        if not preview:
            await record_change(
                database,
                action,
                f"learner/{changed.learner.user_id}",
                partner_id=partner.partner_id,
                after={"into": changed.into.user_id} if changed.into else None,
            )
        return changed

    return run_with_database(load_settings(options), change)


def _learner(partner: Partner, text: str) -> Identifier:
    if "\0" in text:
        raise OperatorError("A learner has no NUL in its name.")
    return identifiers.parse_learner(
        text, partner.home_page, folds_case=partner.settings.fold_mail_case
    )


def _echo(preview: bool, done: str, subject: str, change: LearnerChange) -> None:
    """A line with what was done, or would be, and the rows that it is about."""
    counts = ", ".join(
        quantity(count, noun)
        for noun in ("identifier", "event", "record", "membership", "assignment")
        if (count := getattr(change, f"{noun}s"))
    )
    echo(f"{'preview: ' if preview else ''}{done} {subject}{f': {counts}' if counts else ''}")


def _row(learner: Learner) -> dict[str, Any]:
    return {
        "id": f"id:{learner.user_id}",
        "user": learner.user,
        "records": learner.records or 0,
        "last_activity_at": learner.last_activity_at,
        "identifiers": [
            f"{item.home_page} {item.value}" if item.home_page else item.value
            for item in learner.identifiers
        ],
        "name": learner.name,
    }
