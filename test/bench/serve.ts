/** A server in a process of its own, for measuring: says where it listens, and on each message what CPU it has used. */
import { createHash } from 'node:crypto';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/telemetry/log.ts';

const { database, settings } = JSON.parse(process.env.BENCH ?? '{}');
const masterKey = createHash('sha256').update('bench').digest('base64');
const config = readConfig({ PORT: '0', GUILDHALL_MASTER_KEY: masterKey, ...settings });
const log = createLog({ level: 'silent', service: 'bench', directory: null });
const app = await createApp({ config, roles: ['api'], log, database });
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
process.on('disconnect', () => void app.close().then(() => process.exit(0)));
process.send?.({ url: app.url, installation: app.installation });
