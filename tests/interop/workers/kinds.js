// Sends every kind of JSON value to be echoed, and says whether each came back the same.
'use strict';
const assert = require('assert');

const kinds = [
  true, false, 0, -1, 1.5, 1e300, 5e-324, 2 ** 53, 0.1, '', 'text', 'line\nbreak \u0000 "\\',
  '한국어 \u{1f600} \u2028', [], {}, [null, true, [[]]], { a: { b: { c: [1, { d: null }] } } },
  { '': 1, '10': 2, 'ключ': 3, __proto__x: 4 }, { cmd: 'NODE' }, { cmd: 'notify' }, [undefined],
  { gone: undefined, kept: 1 }, Buffer.from('bytes'), new Date(0), NaN, 'x'.repeat(300000), null,
];
const expected = kinds.map((kind) => JSON.parse(JSON.stringify(kind)));

process.on('message', (message) => {
  assert.deepStrictEqual(message, expected.shift());
  if (expected.length > 0) return;
  process.send('all came back the same');
  process.disconnect();
});
for (const echo of kinds) process.send({ echo });
