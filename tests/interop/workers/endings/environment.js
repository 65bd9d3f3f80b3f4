// Says what a program can see of how it was started: it must be the same alone and as a worker.
'use strict';
const { spawnSync } = require('node:child_process');
const { Worker } = require('node:worker_threads');
const { say, serve } = require('./service');

const show = "String(process.env.NODE_OPTIONS) + ' ' + process.listenerCount('SIGTERM')";
const run = (...words) => spawnSync(...words, { encoding: 'utf8' }).stdout.trim();

say(`options: ${eval(show)}`);
say(`arguments: ${process.execArgv.join()} ${process.argv.slice(2).join()}`);
say(`main: ${require.main === module}`);
say(`globals: ${Object.keys(globalThis).sort().join()}`);
say(`signals: ${process.eventNames().filter((name) => String(name).startsWith('SIG')).join()}`);
say(`of a child: ${run(process.execPath, ['-p', show])}`);
say(`of a shell: ${run('sh', ['-c', 'echo "${NODE_OPTIONS-unset}"'])}`);
process.on('message', (message) => say(`message: ${JSON.stringify(message)}`));

const thread = new Worker(`require('node:worker_threads').parentPort.postMessage(${show})`, { eval: true });
thread.on('message', (text) => {
  say(`of a thread: ${text}`);
  serve();
});
