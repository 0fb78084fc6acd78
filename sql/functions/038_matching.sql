-- What decides whether an endpoint wants an event. publish asks it in route(), people in explain_route()
-- and match(): one text, so that an explanation cannot differ from what was done. Written with `return`, so
-- that the planner puts their text in place of the call.
--
-- The type is matched in route() through endpoint_subscription, whose rows are the elements of
-- endpoint.event_types: an index probe for each of type_patterns() instead of a scan of the endpoints.

create or replace function postrider.wants_type(event_types text[], type text) returns boolean
language sql immutable parallel safe
return event_types && postrider.type_patterns(type);
comment on function postrider.wants_type(text[], text) is
  'Whether an event type is among the patterns of an endpoint.';

create or replace function postrider.passes_filter(filter text, document jsonb) returns boolean
language sql immutable parallel safe
return filter is null or coalesce(jsonb_path_match(document, filter::jsonpath, silent => true), false);
comment on function postrider.passes_filter(text, jsonb) is
  'Whether the data of an event passes the filter of an endpoint. A filter that cannot tell (other types than it expects) does not pass.';

create or replace function postrider.takes_events(endpoint postrider.endpoint) returns boolean
language sql immutable parallel safe
return endpoint.state <> 'disabled' and endpoint.deleted_at is null;
comment on function postrider.takes_events(postrider.endpoint) is
  'Whether new events are routed to the endpoint at all; a paused one takes them and holds their deliveries.';
