"""Backup and restore of a whole server: its database, its secret key, and what they hold.

    <backup>/manifest.json     versions, contents and SHA-256 of the files; written last
    <backup>/database/         a dump of PostgreSQL in the directory format
    <backup>/secret.key.jwe    the secret key, encrypted with a passphrase

A directory without a manifest is an unfinished backup. Reporting roles belong to the database
server, not to the database: the manifest names them, and they are granted again after a restore.
"""
