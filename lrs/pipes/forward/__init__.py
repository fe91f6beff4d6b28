"""The direction that sends to a target.

direction       a step: one request, what follows from its answer, dead letters
cursor          the position in the log
log_reader      reads the log, some requests ahead
filters         which statements are for the target
payloads        what is sent of each statement, and the bodies of requests
track_payload   statements as track events
versions        statements for targets that speak one version of xAPI
sender          sends the items that fit into a request, with their attachments
target          the target: its URL, its versions, statements that it has
answers         what each kind of answer means; pure
delivery        which statements the next request has, and which an answer settles; pure
letter_limits   how many dead letters pause a pipe; pure
corrections     dead letters that an operator corrects
"""
