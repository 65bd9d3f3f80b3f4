// round_trips.js COUNT CPU CPU: bench/round_trips.cc in Node.
'use strict';
const cluster = require('cluster');
const { execFileSync } = require('child_process');

const count = Number(process.argv[2]);
// The thread of JavaScript; the others of a Node process go where they like.
execFileSync('taskset', ['-cp', process.argv[cluster.isPrimary ? 3 : 4], process.pid]);
const cpuSeconds = (since) => { const { user, system } = process.cpuUsage(since); return (user + system) / 1e6; };

if (cluster.isPrimary) {
  const worker = cluster.fork();
  let left = count;
  let start;
  let cpu;
  worker.on('message', (message) => {
    if (message === 'ready') {
      start = process.hrtime.bigint();
      cpu = process.cpuUsage();
      worker.send({ cmd: 'notifyRequest', worker: 3, requests: 1234 });
    } else if (message.cpu !== undefined) {
      console.log(Number(process.hrtime.bigint() - start) / 1e9, cpuSeconds(cpu) + message.cpu);
      worker.disconnect();
    } else if (--left > 0) {
      worker.send(message);
    } else {
      worker.send('end');
    }
  });
} else {
  const cpu = process.cpuUsage();
  process.on('message', (message) => {
    if (message === 'end') process.send({ cpu: cpuSeconds(cpu) });
    else process.send(message);
  });
  process.send('ready');
}
