// Serves HTTP on $PORT; each answer names the worker.
'use strict';
const { worker } = require('cluster');

require('http').createServer((request, response) => {
  response.end(`${worker.id}`);
}).listen(process.env.PORT);
