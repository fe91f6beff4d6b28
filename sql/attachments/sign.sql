-- What was found of the statements' signatures.
insert into signature (partner_id, statement_id, sha2, status, algorithm, key, subject)
select $1, item.*
from unnest($2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[])
    as item (statement_id, sha2, status, algorithm, key, subject)
on conflict do nothing
