-- Learners by a part of a name or identifier, for operators.

-- name: search_learners
-- The next learners after the id $3 of whom a name or an identifier has the pattern $2, in lower
-- case. One `like` over all texts takes half of the time of `ilike` over each.
select learner.person_id, learner.external_id, learner.name, learner.email
from (
    select matching.person_id
    from (
        select person_id
        from identifier
        where partner_id = $1 and person_id > $3
            and lower(concat_ws(' ', identity, name)) like $2
        union
        select person_id
        from person
        where partner_id = $1 and person_id > $3
            and lower(concat_ws(' ', external_id, email, first_name, last_name)) like $2
    ) as matching
    where exists (
        select from person
        where person.partner_id = $1 and person.person_id = matching.person_id
            and person.deleted_at is null
    )
    order by matching.person_id
    limit $4
) as matching
cross join lateral (
    select * from learner where partner_id = $1 and person_id = matching.person_id
    offset 0
) as learner
order by learner.person_id;

-- name: find_learner_by_agent
-- The learner with the first of the identifiers $2 that one has.
select learner.person_id, learner.external_id, learner.name, learner.email
from (
    select identifier.person_id
    from unnest($2::bigint[]) with ordinality as key (agent_key, ordinal)
    cross join lateral (
        select person_id from identifier where partner_id = $1 and agent_key = key.agent_key
        offset 0
    ) as identifier
    where exists (
        select from person
        where person.partner_id = $1 and person.person_id = identifier.person_id
            and person.deleted_at is null
    )
    order by key.ordinal
    limit 1
) as matching
cross join lateral (
    select * from learner where partner_id = $1 and person_id = matching.person_id
    offset 0
) as learner;

-- name: list_learner_page
-- The next learners after the id $2.
select learner.person_id, learner.external_id, learner.name, learner.email
from (
    select person_id
    from person
    where partner_id = $1 and person_id > $2 and deleted_at is null
    order by person_id
    limit $3
) as matching
cross join lateral (
    select * from learner where partner_id = $1 and person_id = matching.person_id
    offset 0
) as learner
order by learner.person_id;

-- name: list_deleted_learners
-- Learners that are in no report, after the id $2, with the first identifiers, up to $4.
select person.person_id, person.deleted_at, identifiers.identities
from (
    select person_id, deleted_at
    from person
    where partner_id = $1 and person_id > $2 and deleted_at is not null
    order by person_id
    limit $3
) as person
cross join lateral (
    select coalesce(array_agg(identity order by identity), '{}') as identities
    from (
        select identity
        from identifier
        where partner_id = $1 and person_id = person.person_id
        order by identity
        limit $4
    ) as listed
) as identifiers
order by person.person_id;

-- name: get_learner
-- A learner by id.
select person_id, external_id, name, email from learner where partner_id = $1 and person_id = $2;

-- name: list_learner_identifiers
-- The identifiers of a learner, up to $3.
select identity, name, imported
from identifier
where partner_id = $1 and person_id = $2
order by identity
limit $3;

-- name: list_learner_statements
-- The statements with any identifier of a learner as actor before the sequence $4, newest first. $3
-- is the partner's salt, with which its keys are combined; $5 is the key of the voiding verb.
select
    statement.sequence,
    stored_at(statement.sequence) as stored,
    statement.organization,
    statement.payload,
    statement.verb_key <> $5 and exists (
        select from statement_reference
        where statement_reference.partner_id = $1
            and statement_reference.target_id = statement.statement_id
            and statement_reference.voids
    ) as voided
from (
    select matching.sequence
    from (
        select agent_key from identifier where partner_id = $1 and person_id = $2 limit 200
    ) as identifier
    cross join lateral (
        select sequence
        from statement
        where actor_key = identifier.agent_key # $3::bigint and sequence < $4
        order by sequence desc
        limit $6
    ) as matching
    group by matching.sequence
    order by matching.sequence desc
    limit $6
) as page
join statement on statement.partner_id = $1 and statement.sequence = page.sequence
order by statement.sequence desc;

-- name: list_learner_documents
-- State and agent profile documents of any identifier of a learner, the last changed first, up to
-- $3 of the 1,000 that are found first.
select
    encode(found.scope_key, 'hex') || encode(found.document_key, 'hex') as document_key,
    found.kind, found.activity, found.agent, found.registration, found.document_id,
    found.content_type, found.size, found.updated
from (
    select document.*, octet_length(document.content) as size
    from (
        select identity from identifier where partner_id = $1 and person_id = $2 limit 200
    ) as own
    join document
        on document.partner_id = $1
        and hashtextextended(document.agent, 0) = hashtextextended(own.identity, 0)
        and document.agent = own.identity
    limit 1000
) as found
order by found.updated desc, found.document_id
limit $3;

-- name: get_learner_document
-- One document of any identifier of a learner, by its keys in hexadecimal.
select
    document.kind, document.activity, document.agent, document.registration, document.document_id,
    document.content_type, octet_length(document.content) as size, document.updated,
    document.etag, substring(document.content for $5) as content
from document
where document.partner_id = $1 and document.scope_key = $3 and document.document_key = $4
    and exists (
        select from identifier
        where identifier.partner_id = $1 and identifier.person_id = $2
            and identifier.identity = document.agent
    );
