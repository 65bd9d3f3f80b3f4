// Two servers in one worker: HTTP on $PORT, TCP on $SECOND_PORT.
'use strict';
require('http').createServer((request, response) => response.end('http')).listen(process.env.PORT);
require('net').createServer((socket) => socket.end('net')).listen(process.env.SECOND_PORT);
