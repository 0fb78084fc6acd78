-- What decides whether an endpoint wants an event. publish asks it in route_items(), people in explain_route()
-- and match(): one text, so that an explanation cannot differ from what was done. Written with `return`, so
-- that the planner puts their text in place of the call.
--
-- The type is matched in route_items() through endpoint_subscription, whose rows are the elements of
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

create or replace function postrider.in_channels(endpoint_channels text[], event_channels text[]) returns boolean
language sql immutable parallel safe
return endpoint_channels is null or coalesce(endpoint_channels && event_channels, false);
comment on function postrider.in_channels(text[], text[]) is
  'Whether an endpoint with these channels, or with none, gets an event with those.';

create or replace function postrider.takes_events(endpoint postrider.endpoint) returns boolean
language sql immutable parallel safe
return endpoint.state <> 'disabled' and endpoint.deleted_at is null;
comment on function postrider.takes_events(postrider.endpoint) is
  'Whether new events are routed to the endpoint at all; a paused one takes them and holds their deliveries.';

-- What a filter may cost, from its text and from the size of the data alone, so that the same event always goes the
-- same way. Each step of a path, and each comparison, visits every element of an array at most once: no two of what
-- it has in hand lie within one another, so there are never more of them than values in the data, commas + 1.
-- Counted are the characters of which there is one at least for a step or an operator; in a text they count as
-- well, which makes a filter costlier than it is and never cheaper.
create or replace function postrider.filter_weight(filter text) returns int
language sql immutable parallel safe
return length(filter) - length(translate(filter, '.[<>=!', ''));
comment on function postrider.filter_weight(text) is
  'Steps and operators of a filter, counted generously: what its cost grows with.';

create or replace function postrider.filter_is_bounded(filter text) returns boolean
language sql immutable parallel safe
return case
  when position('**' in filter) = 0 and position('?' in filter) = 0 and position('like_regex' in filter) = 0 then true
  else regexp_replace(filter, '"([^"\\]|\\.)*"', '""', 'g') !~ '\*\*|\?|like_regex' end;
comment on function postrider.filter_is_bounded(text) is
  'Whether the cost of a filter is linear in the data. The API takes no other; an endpoint that was written with SQL can have one with **, ?() or like_regex.';

-- For each value and step 0.3 us at worst, and 0.4 us for each step of a filter on small data.
create or replace function postrider.filter_us(filter text, value_count int) returns float8
language sql immutable parallel safe
return case when postrider.filter_is_bounded(filter)
  then 2 + postrider.filter_weight(filter) * (0.4 + 0.3 * value_count) else 'infinity' end;
comment on function postrider.filter_us(text, int) is
  'Estimate of what a filter costs at worst on data with so many values, in microseconds; infinity where nothing bounds it.';

create or replace function postrider.value_count(data text) returns int
language sql immutable parallel safe
return 1 + octet_length(data) - octet_length(replace(data, ',', ''));
comment on function postrider.value_count(text) is
  'At least as many as there are values in JSON data, without parsing it.';
