// messages.js json|advanced SIZE COUNT: bench/messages.cc in Node.
'use strict';
const cluster = require('cluster');

const [, , serialization, sizeText, countText] = process.argv;
const size = Number(sizeText);
const count = Number(countText);
const cpuSeconds = (since) => { const { user, system } = process.cpuUsage(since); return (user + system) / 1e6; };

if (cluster.isPrimary) {
  cluster.setupPrimary({ serialization });
  const worker = cluster.fork();
  let received = 0;
  let start;
  let end;
  let cpu;
  worker.on('message', (message) => {
    if (message === 'ready') {
      start = process.hrtime.bigint();
      cpu = process.cpuUsage();
      worker.send('go');
    } else if (message.cpu !== undefined) {
      console.log(Number(end - start) / 1e9, cpu + message.cpu);
      worker.disconnect();
    } else if (++received === count) {
      end = process.hrtime.bigint();
      cpu = cpuSeconds(cpu);
    }
  });
} else {
  const text = 'x'.repeat(size);
  let message = serialization === 'advanced' ? Buffer.from(text) : { data: text };
  if (size < 100) message = { cmd: 'notify', n: 12345, text: 'some words', ok: true };
  const window = size < 100000 ? 1000 : 4;
  let sent = 0;
  let written = 0;
  let cpu;
  const sendMore = () => {
    for (; sent < count && sent - written < window; ++sent) {
      process.send(message, () => {
        if (++written === count) process.send({ cpu: cpuSeconds(cpu) });
        else if (sent - written < window / 2) sendMore();
      });
    }
  };
  process.on('message', () => { cpu = process.cpuUsage(); sendMore(); });
  process.send('ready');
}
