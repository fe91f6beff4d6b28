"""Start of the server and of commands: database, secret key, signing keys, demo partner.

A command imports only the modules that it needs.
"""
