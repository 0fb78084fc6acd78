-- Every change of settings leaves a row in audit_log, in the transaction that makes it.
--
-- By triggers, so that a change from the API, the console, psql or a function of ours is written down alike, and none
-- can be forgotten. What the service itself keeps in these tables (states, which have separate rows, times) is left out.
-- `who` is the setting postrider.who, which the API sets to the key or link that asks; without it the role of the session.
-- The setting postrider.client is the network address that the API was asked from; without it, that of the session.
-- Cost: one comparison of two rows a change, one row in audit_log.

create or replace function postrider.settings_of(kind text, setting jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case kind
    -- Secret headers among the others: what is encrypted looks secret, whatever its name.
    when 'endpoint' then (setting
      || jsonb_build_object('headers', (setting -> 'headers') || (setting -> 'secret_headers')))
      - '{secret_headers,id,tenant_id,state,disabled_reason,disabled_at,unreadable_since,unreadable_detail,rate_version}'::text[]
      - '{created_at,updated_at}'::text[]
    else setting
      - '{id,created_at,updated_at,suspended_at,deletion_started_at,deletion_waits_for_xid,deletion_rows}'::text[]
  end
$$;
comment on function postrider.settings_of(text, jsonb) is
  'Of a row of endpoint, tenant or event_type what people set; the rest is kept by the service.';

-- By its name, as for headers that are encrypted (src/secrets/secret-headers.ts), or by what it looks like: a scheme of HTTP authentication
-- with something behind it, an address with a password, or one long word that is no word of people.
create or replace function postrider.looks_secret(header text, value text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select header ~* 'auth|cookie|token|secret|passw(or)?d|passphrase|pwd|credential|signature|session|jwt|(api|access)[-_]?key|(^|[-_.])key$'
    or value ~* '^\s*(basic|bearer|digest|token|apikey|negotiate|aws4-hmac-sha256)[\s:=]'
    or value ~ '://[^/@\s]*@'
    or value ~ '[A-Za-z0-9+/_=.~-]{16,}' and value ~ '\d' and value !~ '^\d{4}-\d\d-\d\d'
$$;
comment on function postrider.looks_secret(text, text) is
  'Whether the value of a header can be a credential, so that the audit log masks it. It errs on the side of masking.';

-- The key of a certificate is a secret, and so are some headers, of which those are told that the other version of
-- the row lacks or has with another value. Long values are told by size and hash.
create or replace function postrider.audited_value(name text, setting jsonb, other jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when setting = 'null' then setting
    when name = 'client_key_encrypted' then '"***"'
    when name = 'headers' then (
      select coalesce(jsonb_object_agg(
        h.key, case when postrider.looks_secret(h.key, h.value) then '***' else h.value end), '{}')
      from jsonb_each_text(setting) as h
      where h.value is distinct from other ->> h.key)
    when length(setting::text) > 2000 then jsonb_build_object(
      'bytes', octet_length(setting::text), 'sha256', encode(sha256(convert_to(setting::text, 'UTF8')), 'hex'))
    else setting end
$$;
comment on function postrider.audited_value(text, jsonb, jsonb) is
  'A setting as the audit log can hold it: secrets masked, long values as {bytes, sha256}, of headers the ones that differ in the other version.';

create or replace function postrider.audit_settings() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant text := tg_table_name;
  was constant jsonb := coalesce(postrider.settings_of(kind, to_jsonb(old)), '{}');
  becomes constant jsonb := coalesce(postrider.settings_of(kind, to_jsonb(new)), '{}');
  subject constant jsonb := coalesce(to_jsonb(new), to_jsonb(old));
  owner constant uuid := subject ->> case kind when 'tenant' then 'id' else 'tenant_id' end;
  who constant text := nullif(current_setting('postrider.who', true), '');
  -- By reseal(): the same secrets, encrypted again. It writes one row for all of them.
  resealed constant text[] := case when current_setting('postrider.resealing', true) = 'on'
    then '{headers,client_key_encrypted}' else '{}' end;
  detail jsonb;
  action text;
begin
  select
    jsonb_build_object('before', jsonb_object_agg(c.name, 
      postrider.audited_value(c.name, was -> c.name, becomes -> c.name)))
    || jsonb_build_object('after', jsonb_object_agg(c.name, 
      postrider.audited_value(c.name, becomes -> c.name, was -> c.name)))
  into detail
  from jsonb_object_keys(was || becomes) as c (name)
  -- What a new row does not set is no change, whether it is null or not there.
  where coalesce(was -> c.name, 'null') <> coalesce(becomes -> c.name, 'null') and c.name <> all (resealed);
  if jsonb_typeof(detail -> 'after') = 'null' then
    return null;
  end if;
  if who is null and inet_client_addr() is not null then
    detail := jsonb_build_object('client', host(inet_client_addr())) || detail;
  end if;
  action := case
    when tg_op = 'INSERT' then 'create_'
    when tg_op = 'DELETE' or jsonb_typeof(detail #> '{after,deleted_at}') = 'string' then 'delete_'
    else 'change_' end || kind;
  -- That its tenant is deleted says it of all endpoints, of which there may be 10,000.
  if action <> 'delete_endpoint' or not exists (
    select from postrider.tenant t where t.id = owner and t.deletion_started_at is not null)
  then
    perform postrider.audit(who, action, kind, coalesce(subject ->> 'id', subject ->> 'name'), owner, detail);
  end if;
  return null;
end
$$;
comment on function postrider.audit_settings() is
  'Trigger: writes a row of audit_log with what was changed, before and after, by whom and from where.';

create or replace trigger audit_settings after insert or update on postrider.endpoint
  for each row execute function postrider.audit_settings();
create or replace trigger audit_settings after insert or update on postrider.tenant
  for each row execute function postrider.audit_settings();
create or replace trigger audit_settings after insert or update or delete on postrider.event_type
  for each row execute function postrider.audit_settings();

-- In the transaction of the rotation: written afterwards, a crash in between would leave a rotation without a row.
create or replace function postrider.audit_rotation(endpoint uuid, overlap_seconds int) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.audit(nullif(current_setting('postrider.who', true), ''), 'rotate_secret', 'endpoint',
    e.id::text, e.tenant_id, jsonb_build_object('overlapSeconds', overlap_seconds))
  from postrider.endpoint e
  where e.id = audit_rotation.endpoint and postrider.in_scope(e.tenant_id);
end
$$;
comment on function postrider.audit_rotation(uuid, int) is
  'Writes down that the signing secret of an endpoint is being rotated.';
