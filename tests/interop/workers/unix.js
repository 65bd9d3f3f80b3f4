// On the Unix socket $SOCKET: answers a connection with the worker's id.
'use strict';
const { worker } = require('cluster');

require('net').createServer((socket) => socket.end(`${worker.id}`)).listen(process.env.SOCKET);
