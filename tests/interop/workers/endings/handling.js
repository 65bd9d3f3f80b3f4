// handling.js HOW: the ways in which programs handle, or do not handle, the signal that ends them.
'use strict';
const cluster = require('node:cluster');
const { Worker } = require('node:worker_threads');
const { say, serve } = require('./service');

const stayAlive = () => setInterval(() => {}, 1000);
const exit = (signal) => {
  say(signal);
  process.exit(0);
};

const ways = {
  nothing() {},
  interval: stayAlive,
  close_exit(server) {
    process.on('SIGTERM', (signal) => {
      say(signal);
      server.close(() => process.exit(0));
    });
  },
  close_exit_error(server) {
    process.on('SIGTERM', (signal) => {
      say(signal);
      server.close((error) => process.exit(error ? 1 : 0));
    });
  },
  // It ends by itself once its server is closed, with the exit code of a program that has nothing left to do.
  close_only(server) {
    process.on('SIGTERM', (signal) => {
      say(signal);
      server.close(() => say('closed'));
    });
  },
  exit_143() {
    process.on('SIGTERM', (signal) => {
      say(signal);
      process.exit(143);
    });
  },
  exits_at_once() {
    process.on('SIGTERM', exit);
  },
  flushes(server) {
    process.on('SIGTERM', (signal) => {
      say(signal);
      server.close();
      setTimeout(() => {
        say('flushed');
        process.exit(0);
      }, 2000);
    });
  },
  flushes_for_ever() {
    process.on('SIGTERM', say);
    stayAlive();
  },
  int_only() {
    process.on('SIGINT', exit);
    stayAlive();
  },
  int_and_term() {
    process.on('SIGTERM', exit);
    process.on('SIGINT', exit);
  },
  disconnect() {
    process.on('disconnect', () => {
      say('disconnect');
      process.exit(0);
    });
    stayAlive();
  },
  // It cleans up first.
  disconnect_slow() {
    process.on('disconnect', () => {
      setTimeout(() => {
        say('cleaned up');
        process.exit(0);
      }, 700);
    });
    stayAlive();
  },
  worker_disconnect() {
    cluster.worker?.on('disconnect', () => {
      say('disconnect');
      process.exit(0);
    });
    stayAlive();
  },
  terminus(server) {
    require('@godaddy/terminus').createTerminus(server, {
      signal: 'SIGTERM',
      beforeShutdown: async () => say('SIGTERM'),
      onSignal: async () => say('cleaned up'),
      logger: (...what) => say(what.join(' ')),
    });
  },
  close_with_grace(server) {
    require('close-with-grace')(async ({ signal }) => {
      say(signal);
      await new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
    });
  },
  once() {
    process.once('SIGTERM', exit);
  },
  add_listener() {
    process.addListener('SIGTERM', exit);
  },
  prepend_listener() {
    process.prependListener('SIGTERM', exit);
  },
  prepend_once_listener() {
    process.prependOnceListener('SIGTERM', exit);
  },
  // At its first request.
  late(server) {
    server.once('request', () => process.on('SIGTERM', exit));
    stayAlive();
  },
  removed(server) {
    process.on('SIGTERM', exit);
    server.once('request', () => process.off('SIGTERM', exit));
    stayAlive();
  },
  all_removed(server) {
    process.on('SIGTERM', exit);
    server.once('request', () => process.removeAllListeners('SIGTERM'));
    stayAlive();
  },
  // The one that is left handles it.
  one_removed(server) {
    const other = () => say('never');
    process.on('SIGTERM', other);
    process.on('SIGTERM', exit);
    server.once('request', () => process.removeListener('SIGTERM', other));
  },
  // A thread cannot handle signals, and keeps the process alive.
  threads() {
    new Worker("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)", { eval: true });
  },
  threads_and_handler() {
    const thread = new Worker('setInterval(() => {}, 1000)', { eval: true });
    process.on('SIGTERM', async (signal) => {
      say(signal);
      await thread.terminate();
      say('terminated');
      process.exit(0);
    });
  },
};

ways[process.argv[2]](serve());
