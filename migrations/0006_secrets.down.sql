-- What was sealed is lost with the root that keys were derived from.
drop table secrets;
drop table derivation_root;
drop table master_keys;
