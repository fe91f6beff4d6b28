-- outside a transaction
-- Documents of a learner, for operators: by the hash of the agent, which can be longer than an index
-- entry can be.

drop index concurrently if exists document_by_agent;

create index concurrently document_by_agent on document (partner_id, hashtextextended(agent, 0))
    where agent is not null;
