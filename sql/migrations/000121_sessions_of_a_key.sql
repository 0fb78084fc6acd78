-- Sessions of one key or link, newest first.
--
-- What:  an index on session.
-- Why:   whoever has a link to the portal may open it as often as they like; each session of it beyond the newest
--        1,000 ends, which takes finding them.
-- Locks: share on session while it is built: milliseconds, as it holds what has signed in within a day.
-- breaking: no

create index session_key on postrider.session (key_hash, id desc);
