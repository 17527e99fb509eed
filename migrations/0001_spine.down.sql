drop function budget_close;
drop function budget_settle;
drop function budget_reserve;
drop view facts, audit_trail;
drop table dead_letters, workers, idempotency_keys, audit_records, events, usage_records, reservations, budgets, prices,
  artifacts, checks, tool_policies, approvals, messages, intents, steps, runs, task_dependencies, tasks,
  agent_definitions, agents, teams, api_keys, sessions, sign_in_links, members, projects, organizations;
drop sequence fact_seq;
