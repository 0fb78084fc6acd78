-- What attempt.error says beside a status.
--
-- What:  the comment of attempt.error.
-- Why:   the status of an answer decides although the rest of it is broken; what is wrong with it is noted there.
-- Locks: SHARE UPDATE EXCLUSIVE on attempt for a moment.
-- breaking: no

comment on column postrider.attempt.error is
  'What went wrong in detail, in words for people; programs go by reason. Beside a status, also of 2xx, what was wrong with the answer otherwise. Null where nothing was.';
