// frameworks.js NAME: `hello world` on $PORT, in no time or, at /slow, after a second. No handler for any signal.
'use strict';
const { answer, port, say } = require('./service');

const body = 'hello world\n';
const second = () => new Promise((resolve) => setTimeout(resolve, 1000));

const frameworks = {
  http: () => require('node:http').createServer(answer).listen(port),
  express() {
    const app = require('express')();
    app.get('/', (request, response) => response.send(body));
    app.get('/slow', answer);
    app.listen(port);
  },
  fastify() {
    const app = require('fastify')();
    app.get('/', async () => body);
    app.get('/slow', async () => {
      say('request');
      await second();
      return body;
    });
    app.listen({ port, host: '0.0.0.0' });
  },
  koa() {
    const app = new (require('koa'))();
    app.use(async (context) => {
      if (context.path === '/slow') {
        say('request');
        await second();
      }
      context.body = body;
    });
    app.listen(port);
  },
  hono() {
    const { Hono } = require('hono');
    const app = new Hono();
    app.get('/', (context) => context.text(body));
    app.get('/slow', async (context) => {
      say('request');
      await second();
      return context.text(body);
    });
    require('@hono/node-server').serve({ fetch: app.fetch, port });
  },
};

frameworks[process.argv[2]]();
