// websocket.js [goodbye]: a WebSocket server on $PORT that greets; with a handler it says goodbye to its clients.
'use strict';
const { WebSocketServer } = require('ws');
const { say, serve } = require('./service');

const server = serve();
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => socket.send('hello'));

if (process.argv[2] === 'goodbye')
  process.on('SIGTERM', (signal) => {
    say(signal);
    for (const socket of sockets.clients) socket.close(1001, 'goodbye');
    server.close(() => process.exit(0));
  });
