// Takes one connection at a time, on $PORT; answers its first bytes with the worker's id.
'use strict';
const { worker } = require('cluster');

const server = require('net').createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.end(`${worker.id}`));
});
server.maxConnections = 1;
server.listen(process.env.PORT);
