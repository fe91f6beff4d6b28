"""The console: server-rendered pages over the use cases of `lrs.admin`."""
