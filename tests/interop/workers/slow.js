// Answers a request on $PORT only after the worker was told to end.
'use strict';
const { worker } = require('cluster');

require('http').createServer((request, response) => {
  process.send('request');
  const waiting = setInterval(() => {
    if (!worker.exitedAfterDisconnect) return;
    clearInterval(waiting);
    response.end('answered at the end');
  }, 10);
}).listen(process.env.PORT);
