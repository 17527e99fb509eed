/**
 * Gates: named places where the database stops a worker, so that it can be killed exactly there. A closed gate
 * blocks the statement that reaches it and then fails it, as if the connection had broken before the commit: the
 * effect has happened, the journal does not know of it.
 *
 *   step <agent> <seq>   the step is about to be journaled
 *   wait <agent>         a run is about to be suspended
 *   end <agent>          a task is about to be marked as succeeded
 */
import pg from 'pg';
import type { TestDatabase } from '../harness/database.ts';
import { until } from '../harness/processes.ts';

export interface Gates extends AsyncDisposable {
  /** Closes a gate; `reached` waits for somebody who stands before it. */
  close(name: string): Promise<{ reached(): Promise<void>; open(): Promise<void> }>;
  /** The pid of the worker process that journals a step, as soon as it is committed. */
  afterStep(agent: string, seq: number): Promise<number>;
}

const schema = `
create table test_gates (name text primary key);
create table test_holders (run_id text primary key, worker_id text);
create function remember_holder() returns trigger language plpgsql security definer as $$
begin
  insert into test_holders values (new.id, new.worker_id) on conflict (run_id) do update set worker_id = excluded.worker_id;
  return new;
end $$;
create trigger remember_holder before update on runs for each row
  when (new.worker_id is not null and new.worker_id is distinct from old.worker_id) execute function remember_holder();
create function test_gate(gate text) returns void language plpgsql security definer as $$
begin
  if not exists (select 1 from test_gates where name = gate) then return; end if;
  perform pg_advisory_xact_lock_shared(4711);
  raise exception 'the commit at the gate % is lost', gate;
end $$;
create function agent_of_run(id text) returns text language sql security definer as $$
  select a.name from runs r join agents a on a.id = r.agent_id where r.id = $1 $$;
create function before_step() returns trigger language plpgsql security definer as $$
begin
  perform test_gate('step ' || agent_of_run(new.run_id) || ' ' || new.seq);
  perform pg_notify('test_steps', agent_of_run(new.run_id) || ' ' || new.seq || ' ' ||
    (select w.pid from test_holders h join workers w on w.id = h.worker_id where h.run_id = new.run_id));
  return new;
end $$;
create function before_wait() returns trigger language plpgsql security definer as $$
begin perform test_gate('wait ' || agent_of_run(new.id)); return new; end $$;
create function before_end() returns trigger language plpgsql security definer as $$
begin perform test_gate('end ' || (select name from agents where id = new.agent_id)); return new; end $$;
create trigger before_step before insert on steps for each row execute function before_step();
create trigger before_wait before update on runs for each row
  when (new.state = 'waiting' and old.state <> 'waiting') execute function before_wait();
create trigger before_end before update on tasks for each row
  when (new.state = 'succeeded' and old.state <> 'succeeded') execute function before_end();`;

export async function installGates(database: TestDatabase): Promise<Gates> {
  const owner = new pg.Client(database.owner as pg.ClientConfig);
  await owner.connect();
  await owner.query(schema);
  await owner.query('listen test_steps');
  const waiting = new Map<string, (pid: number) => void>();
  owner.on('notification', ({ payload = '' }) => {
    const [agent, seq, pid] = payload.split(' ');
    waiting.get(`${agent} ${seq}`)?.(Number(pid));
  });
  return {
    async close(name) {
      await owner.query('select pg_advisory_lock(4711)');
      await owner.query('insert into test_gates values ($1)', [name]);
      return {
        reached: async () => {
          await until(`somebody stands before the gate ${name}`, 60_000, async () => {
            const { rowCount } = await owner.query(
              `select 1 from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
                 and database = (select oid from pg_database where datname = current_database())`,
            );
            return rowCount === 1;
          });
        },
        open: async () => {
          await owner.query('delete from test_gates');
          await owner.query('select pg_advisory_unlock(4711)');
        },
      };
    },
    afterStep: (agent, seq) =>
      new Promise(resolve => {
        waiting.set(`${agent} ${seq}`, pid => {
          waiting.delete(`${agent} ${seq}`);
          resolve(pid);
        });
      }),
    [Symbol.asyncDispose]: () => owner.end(),
  };
}
