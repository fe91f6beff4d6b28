"""The HTTP client of a pipe: address rules, authentication, pinned origin, limits."""
