-- Trace context: which trace of the producer an event belongs to.
--
-- What:  event.traceparent and event.tracestate.
-- Why:   deliveries go on with the producer's trace, also when they are sent hours later by another process.
--        Here and not in the types that publish passes around: changing those would refuse publishes until
--        the functions are applied.
-- Locks: ACCESS EXCLUSIVE on event and its partitions for a moment; nothing is read or rewritten.
-- breaking: no

alter table postrider.event add column traceparent text, add column tracestate text;
comment on column postrider.event.traceparent is 'W3C trace context of the publish, as the producer or our own span gave it; null = none.';
comment on column postrider.event.tracestate is 'What belongs to it for the vendors of the tracing; kept to ourselves, never sent to receivers.';
