// What the programs beside this file share: an HTTP server on $PORT that answers /slow after a second, and says on
// stdout what happens. It knows nothing of a cluster.
'use strict';
const { createServer } = require('node:http');
const { writeSync } = require('node:fs');

// Whole, also just before the end. Into a pipe that nobody reads it would wait for ever.
const say = (line) => process.env.QUIET || writeSync(1, `${line}\n`);

function answer(request, response) {
  if (request.url !== '/slow') return response.end('hello world\n');
  say('request');
  response.on('finish', () => say('answered'));
  setTimeout(() => response.end('hello world\n'), 1000);
}

process.on('exit', (code) => say(`exit ${code}`));

module.exports = { answer, port: Number(process.env.PORT), say, serve: () => createServer(answer).listen(process.env.PORT) };
