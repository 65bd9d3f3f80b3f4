// The worker of recycled.cc, in Node.
'use strict';
const http = require('http');
const { worker } = require('cluster');
const flag = (name) => Number(process.argv[process.argv.indexOf(name) + 1] || 0);
const [port, second, tried] = [flag('--port'), flag('--second'), flag('--try')];
let left = flag('--requests');
const other = http.createServer((request, response) => response.end(String(process.pid)));
const server = http.createServer((request, response) => {
  if (request.url === '/events') return response.write('a first event\n');
  if (request.url === '/close') other.close();
  if (request.url === '/bye') {
    server.close();
    worker.disconnect();
    return setTimeout(() => response.end('bye'), 1500);
  }
  if (request.url === '/reopen') server.close(() => server.listen(port));
  if (request.url === '/leave' || (left > 0 && --left === 0)) worker.disconnect();
  response.end(String(process.pid));
});
if (second) other.listen(second);
if (process.argv.includes('--busy')) setInterval(() => {}, 1000);
if (tried) http.createServer().listen(tried, function () { this.close(() => setTimeout(() => server.listen(port), 2000)); });
else server.listen(port);
