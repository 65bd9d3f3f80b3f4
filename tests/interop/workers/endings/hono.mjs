// Hono as an ES module, which waits for its imports before it serves.
import { pathToFileURL } from 'node:url';

const installed = pathToFileURL(`${process.env.NODE_PATH}/`);
const { Hono } = await import(new URL('hono/dist/index.js', installed));
const { serve } = await import(new URL('@hono/node-server/dist/index.mjs', installed));

const app = new Hono();
app.get('/', (context) => context.text('hello world\n'));
serve({ fetch: app.fetch, port: Number(process.env.PORT) });
