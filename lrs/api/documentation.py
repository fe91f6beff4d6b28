"""The interface's description: OpenAPI 3.1, the schemas that it refers to, and a page to read it."""

ROUTES = []
