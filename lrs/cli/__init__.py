"""The `lrs` command.

`main` is the entry point, with a table of the subcommands: each has a module, which is imported
when it is called. `options` has the shared options; `database` opens the configured database;
`output` and `tables` print.
"""
