// h2.js [goodbye]: HTTP/2 without TLS on $PORT. /slow takes a second.
'use strict';
const http2 = require('node:http2');
const { answer, port, say } = require('./service');

const server = http2.createServer(answer).listen(port);
const sessions = new Set();
server.on('session', (session) => {
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
});

if (process.argv[2] === 'goodbye')
  process.on('SIGTERM', (signal) => {
    say(signal);
    for (const session of sessions) session.close();
    server.close(() => process.exit(0));
  });
