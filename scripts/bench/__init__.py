"""`make bench`: how fast the server is, beside what this machine allows, measured in one run."""
