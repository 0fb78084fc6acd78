-- Event types: what producers publish, described, with the JSON Schema that their data is held to.
--
-- What:  event_type. No foreign key from event: publishing in SQL takes any type.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.event_type (
  name text primary key check (name ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' and length(name) <= 128),
  description text not null default '' check (length(description) <= 1000),
  schema json check (json_typeof(schema) in ('object', 'boolean')),
  deprecated_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default clock_timestamp()
);
comment on table postrider.event_type is 'Event types that are described; they belong to the producer, not to a tenant. Others may be published too, unless EVENT_TYPES_STRICT is set.';
comment on column postrider.event_type.name is 'A dotted name such as invoice.paid.';
comment on column postrider.event_type.description is 'For people.';
comment on column postrider.event_type.schema is 'JSON Schema 2020-12 of the data. HTTP publishing validates against it; publishing in SQL does not. Null = anything goes.';
comment on column postrider.event_type.deprecated_at is 'Since when new receivers should not rely on it; it is published and delivered all the same.';
comment on column postrider.event_type.created_at is 'When it was first described.';
comment on column postrider.event_type.updated_at is 'When it was last changed. API processes compare it with what they have in memory.';
