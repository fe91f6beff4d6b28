"""The interface of operators under /v1/admin. A credential of a partner has no access."""
