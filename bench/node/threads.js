// threads.js pingpong|oneway|transfer COUNT [SIZE]: bench/threads.cc in Node, with worker_threads.
'use strict';
const { Worker, MessageChannel, isMainThread, workerData } = require('worker_threads');

const now = () => Number(process.hrtime.bigint());

if (isMainThread) {
  const [, , what, countText, sizeText] = process.argv;
  const count = Number(countText);
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(__filename, { workerData: { what, count, port: port2 }, transferList: [port2] });
  const times = [];
  let start;
  let sent;
  const finish = (each) => {
    times.sort((a, b) => a - b);
    const p50 = times[times.length >> 1] ?? each;
    console.log(JSON.stringify({ what, count, each_ns: each, p50_ns: p50 }));
    port1.close();
  };
  const send = () => {
    sent = now();
    port1.postMessage(times.length);
  };
  const go = {
    pingpong: send,
    oneway() {
      for (let n = 0; n < count; ++n) port1.postMessage({ n });
    },
    transfer() {
      for (const buffer of buffers) port1.postMessage(buffer, [buffer]);
    },
  }[what];
  // Made before: that is not what is measured.
  const buffers = what === 'transfer' ? Array.from({ length: count }, () => new ArrayBuffer(Number(sizeText))) : [];
  port1.on('message', (message) => {
    if (message === 'ready') {
      start = now();
      go();
    } else if (message === 'done') {
      finish((now() - start) / count);
    } else {
      times.push((now() - sent) / 2);
      if (times.length === count) finish((now() - start) / count / 2);
      else send();
    }
  });
} else {
  const { what, count, port } = workerData;
  const kept = [];
  let left = count;
  port.on('message', (message) => {
    if (what === 'pingpong') return port.postMessage(message);
    if (what === 'transfer') kept.push(message);
    if (--left === 0) port.postMessage('done');
  });
  port.postMessage('ready');
}
