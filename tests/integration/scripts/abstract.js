// A server on an abstract Unix socket, and its client: abstract.js [--connect] NAME.
'use strict';
const net = require('net');
const name = '\0' + process.argv[process.argv.length - 1];
if (process.argv[2] === '--connect') net.connect(name).pipe(process.stdout);
else net.createServer((socket) => socket.end('hello\n')).listen(name);
