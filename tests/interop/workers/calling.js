// The worker of tests/integration/programs/calling.cc, with plain process.send: docs/calls.md.
'use strict';
let lastId = 0;
const waiting = new Map();
const call = (method, params) => new Promise((resolve, reject) => {
  const id = ++lastId;
  waiting.set(id, { resolve, reject });
  process.send({ jsonrpc: '2.0', method, params, id });
});
const notify = (method, params) => process.send({ jsonrpc: '2.0', method, params });

const heard = [];
const methods = {
  add: ([a, b]) => a + b,
  fail: () => { throw new Error('on purpose'); },
  wait: () => new Promise(() => {}),
  heard: () => heard.sort(),
};

process.on('message', async (message) => {
  const { jsonrpc, method, params, id, result, error } = message;
  if (jsonrpc !== '2.0') return heard.push(message.say);
  if (method === 'cohort.published') return heard.push(params.data);
  if (method === undefined) {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    return error ? reject(error) : resolve(result);
  }
  if (id === undefined) return undefined;
  if (!methods[method]) {
    const missing = { code: -32601, message: `there is no method ${method}` };
    return process.send({ jsonrpc, id, error: missing });
  }
  try {
    process.send({ jsonrpc, id, result: await methods[method](params) });
  } catch (thrown) {
    process.send({ jsonrpc, id, error: { code: -32000, message: thrown.message } });
  }
});

notify('cohort.subscribe', { topic: 'news' });
call('square', 12).then((square) => call('ready', square)).then((id) => {
  if (id === 1) notify('cohort.publish', { topic: 'news', data: 'from a worker' });
});
