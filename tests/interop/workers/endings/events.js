// events.js [goodbye]: server-sent events on $PORT, an answer that never ends; with a handler it ends them.
'use strict';
const { createServer } = require('node:http');
const { port, say } = require('./service');

const streams = new Set();
const server = createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write('data: hello\n\n');
  streams.add(response);
  response.on('close', () => streams.delete(response));
}).listen(port);

if (process.argv[2] === 'goodbye')
  process.on('SIGTERM', (signal) => {
    say(signal);
    for (const stream of streams) stream.end('data: goodbye\n\n');
    server.close(() => process.exit(0));
  });
