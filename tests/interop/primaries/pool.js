// pool.js EXEC: examples/node/pool.js at work. Prints what was not as it should be, then `done`.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const { Pool } = require('../../../examples/node/pool.js');

const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => { setTimeout(resolve, 10); });
};

(async () => {
  const pool = new Pool(process.argv[2], 3);
  const inputs = Array.from({ length: 30 }, (_, i) => Buffer.alloc(i * 1000 + 1, `input ${i}`));
  const results = await Promise.all(inputs.map((data) => pool.call({ op: 'digest', data })));
  results.forEach((result, i) => {
    assert.strictEqual(result.sha256, sha256(inputs[i]));
    assert.strictEqual(result.bytes, inputs[i].length);
    const histogram = new Float64Array(256);
    for (const byte of inputs[i]) ++histogram[byte];
    assert.deepStrictEqual(result.histogram, histogram);
  });

  await assert.rejects(pool.call({ op: 'digest', path: '/no/such/file' }), /\/no\/such\/file/);
  await assert.rejects(pool.call({ op: 'unknown' }), /no such op/);

  // A worker that dies takes its calls with it, no others; it is replaced.
  const [victim] = pool.pids();
  process.kill(victim, 'SIGSTOP');
  const calls = Array.from({ length: 6 }, () => pool.call({ op: 'digest', data: Buffer.from('x') })
    .then(() => 'answered', (error) => `${error.pid === victim} ${error.signal}`));
  setTimeout(() => process.kill(victim, 'SIGKILL'), 50);
  const outcomes = (await Promise.all(calls)).sort();
  assert.deepStrictEqual(outcomes.slice(0, 4), Array(4).fill('answered'));
  assert.deepStrictEqual(outcomes.slice(4), Array(2).fill('true SIGKILL'));
  await until(() => !pool.pids().includes(victim));
  assert.strictEqual((await pool.call({ op: 'digest', data: Buffer.from('x') })).sha256, sha256('x'));

  // Calls that are under way finish.
  const last = pool.call({ op: 'digest', data: Buffer.alloc(1e6) });
  await pool.close();
  assert.strictEqual((await last).bytes, 1e6);
  await assert.rejects(pool.call({ op: 'digest' }), /closed/);
  console.log('done');
})();
