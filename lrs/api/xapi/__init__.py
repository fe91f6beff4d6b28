"""The xAPI interface: all resources of xAPI 1.0.3 and 2.0.

middleware        alternate request syntax, response headers
  alternate_syntax  a request contained in a form
statements        the statements resource; its GET is `lrs.api.statement_list`
documents         state, agent profile and activity profile
entities          agents, activities and about
"""
