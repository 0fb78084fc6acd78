-- Children are found by their parent and a range of ids in one index.
--
-- What:  the id becomes the last column of the indexes by which children of a delivery or event are found.
-- Why:   the range of ids only leaves partitions out. While the indexes ended with the parent, a partition
--        without statistics (new, or after a crash, which loses the counts that lead to an analyze) was read
--        by the range: a whole day for each parent. Checking the history of 1,500 deliveries read 4.5 million
--        rows; now 7,500.
-- Locks: delivery and attempt against writes while their index is built.
-- breaking: no

drop index postrider.attempt_delivery;
create index attempt_delivery on postrider.attempt (delivery_id, id);

drop index postrider.delivery_event;
create index delivery_event on postrider.delivery (event_id, endpoint_id, id);
