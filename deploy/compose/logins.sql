-- What API and runner log in as, in compose.yaml: members of the group roles that `migrate --roles` has made, with no
-- other right. Run with psql after each migration; a changed password is set again.
\getenv api_password API_POSTGRES_PASSWORD
\getenv runner_password RUNNER_POSTGRES_PASSWORD

select format('create role %I login', login) from unnest(array['my_api', 'my_runner']) as login
where not exists (select from pg_roles where rolname = login) \gexec

grant postrider_api to my_api;
grant postrider_runner to my_runner;
alter role my_api password :'api_password';
alter role my_runner password :'runner_password';
