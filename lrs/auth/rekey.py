"""Encrypts everything in the database with the secret key again after that was replaced.

Rows are replaced by compare and swap, in batches, so that servers may run meanwhile. The signing
keys come last: a server that has the new secret key only does not start before all is encrypted
with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.store import pipes, signing_keys, tools
from lrs.store.postgres import Database
from lrs.store.tools import ToolSecrets

_BATCH_SIZE = 500


@dataclass(slots=True)
class RekeyResult:
    """How many rows were encrypted again, how many there are, and which cannot be decrypted."""

    replaced: int = 0
    total: int = 0
    unreadable: list[str] = field(default_factory=list)


async def rekey(
    database: Database, secret_box: SecretBox, *, batch_size: int = _BATCH_SIZE
) -> RekeyResult:
    """Encrypts the secrets of tools and pipes, and the signing keys, with the secret key.

    What is encrypted with it already stays unchanged: after an interruption, a second call does the
    rest. What is encrypted with neither the secret key nor the accepted one stays unchanged too.
    """
    result = RekeyResult()
    while not await _rekey_tools(database, secret_box, result, batch_size):
        pass
    await _rekey_pipes(database, secret_box, result, batch_size)
    await _rekey_signing_keys(database, secret_box, result)
    return result


async def _rekey_tools(
    database: Database, secret_box: SecretBox, result: RekeyResult, batch_size: int
) -> bool:
    """One pass over all tools. False if a server has rotated a secret meanwhile.

    The secret before that rotation is still encrypted with the accepted key.
    """
    result.total, result.unreadable = 0, []
    is_complete = True
    after = (0, "")
    while page := await tools.list_secrets(database, after, batch_size):
        after = (page[-1].partner_id, page[-1].name)
        result.total += len(page)
        changed = []
        for secrets in page:
            try:
                reencrypted = _reencrypt(secrets, secret_box)
            except WrongSecretKey:
                result.unreadable.append(f"tool {secrets.name} of partner {secrets.partner}")
                continue
            if reencrypted != secrets:
                changed.append((secrets, reencrypted))
        if changed:
            replaced = await tools.replace_secrets(database, changed)
            result.replaced += replaced
            is_complete = is_complete and replaced == len(changed)
    return is_complete


def _reencrypt(secrets: ToolSecrets, secret_box: SecretBox) -> ToolSecrets:
    previous = secrets.previous_secret_jwe
    return ToolSecrets(
        secrets.partner_id,
        secrets.partner,
        secrets.name,
        secret_box.reencrypt(secrets.secret_jwe),
        None if previous is None else secret_box.reencrypt(previous),
    )


async def _rekey_pipes(
    database: Database, secret_box: SecretBox, result: RekeyResult, batch_size: int
) -> None:
    after = (0, "")
    while page := await pipes.list_credentials(database, after, batch_size):
        after = (page[-1].partner_id, page[-1].name)
        result.total += len(page)
        for item in page:
            label = f"pipe {item.name} of partner {item.partner}"
            if reencrypted := _changed(secret_box, item.credentials_jwe, label, result):
                result.replaced += await pipes.replace_credentials(database, item, reencrypted)


async def _rekey_signing_keys(
    database: Database, secret_box: SecretBox, result: RekeyResult
) -> None:
    for key in await signing_keys.list_keys(database, 0):
        result.total += 1
        label = f"signing key {key.kid}"
        if reencrypted := _changed(secret_box, key.private_jwe, label, result):
            result.replaced += await signing_keys.replace_private_key(
                database, key.kid, key.private_jwe, reencrypted
            )


def _changed(secret_box: SecretBox, jwe: str, label: str, result: RekeyResult) -> str | None:
    """The ciphertext with the secret key; None if it has it already, or cannot be decrypted."""
    try:
        reencrypted = secret_box.reencrypt(jwe)
    except WrongSecretKey:
        result.unreadable.append(label)
        return None
    return reencrypted if reencrypted != jwe else None
