-- What the daemon's role needs. It neither rewrites nor empties the journal.
GRANT USAGE ON SCHEMA @ TO ROLE_NAME;
GRANT SELECT ON ALL TABLES IN SCHEMA @ TO ROLE_NAME;
GRANT INSERT ON @.journal, @.submissions, @.blocks, @.rollouts, @.changes, @.jobs, @.enforcements, @.bins, @.pauses, @.daemons, @.keepers TO ROLE_NAME;
GRANT UPDATE ON @.changes, @.enforcements, @.bins, @.pauses, @.daemons, @.keepers TO ROLE_NAME;
GRANT DELETE ON @.submissions, @.blocks, @.daemons TO ROLE_NAME;
