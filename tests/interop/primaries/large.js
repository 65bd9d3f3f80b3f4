// Sends a program of ours 1 MB of text of every width of UTF-8, cut by pipes wherever it happens,
// and says whether the same came back.
'use strict';
const cluster = require('cluster');

process.execPath = process.argv[2];
const text = 'aé한😀\n"\\\u0001'.repeat(Math.ceil(2 ** 20 / 16));
cluster.setupPrimary({ args: [] });
const worker = cluster.fork();
worker.on('message', (message) => {
  console.log(message === text ? 'the same came back' : `something else: ${typeof message}`);
  worker.disconnect();
});
worker.send({ say: text });
