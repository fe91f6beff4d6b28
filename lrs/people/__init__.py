"""Import of people: users, identifiers, groups, teams, memberships and assignments.

Pure rules: `rows`, `checks`, `identifier_assignments`, `plan`. PostgreSQL: `importer`.
"""
