"""The `lrs` command.

    main            the entry point: serve, migrate, check, token
      partners        lrs partner, lrs credential
      keys            lrs keys
      tools           lrs tool
      people          lrs people
      content_items   lrs content
      reports         lrs reports
      export          lrs export

`options` has the shared options; `database` opens the configured database; `output` prints.
"""
