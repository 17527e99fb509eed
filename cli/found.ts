/** Things that people name by id or by name: found in the lists of the API. */
import { type Api, type Schemas, value } from '../sdk/client.ts';
import { Problem } from '../src/base/problem.ts';

const missing = (noun: string, name: string): Problem =>
  new Problem('missing', `${noun.replace(' ', '_')}_missing`, `There is no ${noun} ${name}.`);

/** A project by id or name, archived ones too. @throws Problem `project_missing`. */
export async function findProject(api: Api, name: string): Promise<Schemas['Project']> {
  if (/^proj_[0-9a-z]{26}$/.test(name))
    return value(api.GET('/api/v1/projects/{id}', { params: { path: { id: name } } }));
  for (let cursor: string | undefined; ; ) {
    const query = { archived: 'all' as const, cursor };
    const page = await value(api.GET('/api/v1/projects', { params: { query } }));
    const found = page.items.find(project => project.name === name);
    if (found) return found;
    if (page.next_cursor === null) throw missing('project', name);
    cursor = page.next_cursor;
  }
}

/** A team by id or name. @throws Problem `team_missing`. */
export async function findTeamOf(api: Api, name: string): Promise<Schemas['Team']> {
  const teams = await value(api.GET('/api/v1/teams'));
  const found = teams.items.find(team => team.id === name || team.name === name);
  if (!found) throw missing('team', name);
  return found;
}

/** A member by id or e-mail address. @throws Problem `member_missing`. */
export async function findMember(api: Api, name: string): Promise<Schemas['Member']> {
  if (/^mem_[0-9a-z]{26}$/.test(name))
    return value(api.GET('/api/v1/members/{id}', { params: { path: { id: name } } }));
  for (let cursor: string | undefined; ; ) {
    const page = await value(api.GET('/api/v1/members', { params: { query: { cursor } } }));
    const found = page.items.find(member => member.email === name.toLowerCase());
    if (found) return found;
    if (page.next_cursor === null) throw missing('member', name);
    cursor = page.next_cursor;
  }
}

/** A service account by id or name. @throws Problem `service_account_missing`. */
export async function findServiceAccount(api: Api, name: string): Promise<Schemas['ServiceAccount']> {
  for (let cursor: string | undefined; ; ) {
    const page = await value(api.GET('/api/v1/service-accounts', { params: { query: { cursor } } }));
    const found = page.items.find(account => account.id === name || account.name === name);
    if (found) return found;
    if (page.next_cursor === null) throw missing('service account', name);
    cursor = page.next_cursor;
  }
}
