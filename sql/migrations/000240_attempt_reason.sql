-- Why an attempt failed, for programs: one word of a closed set beside the text for people.
--
-- What:  attempt.reason with its check.
-- Why:   what decides or filters by a failure (limits, metrics, people who look for all expired certificates)
--        would otherwise have to recognise the wording of a text.
-- Locks: ACCESS EXCLUSIVE on attempt and its partitions for a moment, for the catalogue only; nothing is read
--        or rewritten. The check is `not valid`, as every row from before is null anyway.
-- breaking: no

alter table postrider.attempt add column reason text;
alter table postrider.attempt add constraint attempt_reason_check check (reason in (
  'status_3xx', 'status_4xx', 'status_5xx', 'status_other',
  'timeout_dns', 'timeout_connect', 'timeout_tls', 'timeout_answer',
  'dns_not_found', 'dns_failed',
  'connection_refused', 'connection_unreachable', 'connection_closed', 'connection_failed',
  'tls_certificate', 'tls_client_certificate', 'tls_protocol', 'tls_failed',
  'bad_answer', 'unsendable',
  'proxy_refused', 'proxy_failed',
  'blocked_address', 'blocked_name', 'blocked_url',
  'erased', 'secret_unreadable', 'fault', 'runner_stopped', 'keepalive_closed', 'runner_lost'
)) not valid;
comment on column postrider.attempt.reason is
  'Why it did not deliver, for programs; null while started, when answered 2xx, and of attempts from before this column. status_3xx, _4xx, _5xx, _other: the class of the answer. timeout_dns, _connect, _tls, _answer: what it waited for when its time was over. dns_not_found, dns_failed: no address. connection_refused, _unreachable, _closed, _failed. tls_certificate (of the receiver), tls_client_certificate (ours), tls_protocol, tls_failed. bad_answer: not HTTP. unsendable: a URL or header that cannot be sent. proxy_refused, proxy_failed: by the proxy of this service. blocked_address (in the URL, final), blocked_name (found by DNS, tried again), blocked_url (unreadable, or its scheme; final). erased: no data to send. secret_unreadable, fault: not sent for a reason of this service. runner_stopped, keepalive_closed: repeated at once. runner_lost: abandoned.';
comment on column postrider.attempt.error is 'What went wrong in detail, in words for people; programs go by reason. Null when delivered.';
