// A worker of a cohort::Pool in Node: a task is a message, its answer is one (docs/parallel.md).
'use strict';
const crypto = require('node:crypto');

const methods = {
  sha256: (data) => crypto.createHash('sha256').update(data).digest('hex'),
  divide: (a, b) => {
    if (b === 0) throw new RangeError('division by zero');
    return a / b;
  },
  slowly: async (steps, progress) => {
    for (let step = 1; step <= steps; ++step) progress(step);
    return steps;
  },
};

process.on('message', async ({ jsonrpc, id, method, params }) => {
  const progress = (value) => process.send({ jsonrpc, method: '$/progress', params: { token: id, value } });
  try {
    if (!methods[method]) throw Object.assign(new Error(`there is no method ${method}`), { code: -32601 });
    process.send({ jsonrpc, id, result: await methods[method](...params, progress) });
  } catch (error) {
    const code = typeof error.code === 'number' ? error.code : -32000;
    process.send({ jsonrpc, id, error: { code, message: error.message } });
  }
});
