// clone.js PROGRAM: sends each value to PROGRAM (clone_echo) in advanced mode, and wants the same back; then has it make
// values of its own. Prints what differs, and at the end how many were the same.
'use strict';
const { fork } = require('child_process');
const { isDeepStrictEqual, inspect } = require('util');

const bytes = (text) => new Uint8Array(Buffer.from(text)).buffer;
const error = (Kind, message, stack, cause) => {
  const made = message === undefined ? new Kind() : new Kind(message);
  Object.defineProperty(made, 'stack', { value: stack, configurable: true, enumerable: false, writable: true });
  if (cause !== undefined) Object.defineProperty(made, 'cause', { value: cause, configurable: true, enumerable: false, writable: true });
  return made;
};
const shared = { z: 1 };
const circular = { name: 'circular', map: new Map(), set: new Set() };
circular.self = circular;
circular.map.set(circular, circular.set);
circular.set.add(circular);
const sparse = [];
sparse[1000] = 1;
const array = (Kind, ...items) => new Kind(items);
const random = Buffer.alloc(8 << 20);
for (let i = 0; i < random.length; ++i) random[i] = (i * 2654435761) >>> 13;

const values = [
  ['undefined in an object', { v: undefined }], ['null', null], ['true', true], ['false', false],
  ...[0, 1, -1, 63, 64, 1073741823, 1073741824, 2147483647, 2147483648, -2147483648, 4294967295, 2 ** 53, 0.1, -0, NaN,
    Infinity, -Infinity, 5e-324, 1.7976931348623157e308].map((n) => [`number ${inspect(n)}`, n]),
  ...[0n, 1n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 64n, 3n ** 1000n, -(3n ** 1000n)].map((n, i) => [`bigint ${i}`, n]),
  ['empty text', ''], ['ascii', 'hello'], ['latin1', 'h\u00e9'], ['two bytes', 'h\u20ac'], ['emoji', '\u{1F600}'], ['nul', 'a\0b'],
  ['lone high', '\ud800'], ['lone low', 'x\udc00y'], ['reversed pair', '\ude00\ud83d'],
  ['long ascii', 'a'.repeat(100000)], ['long latin1', '\u00ff'.repeat(100000)], ['long two bytes', '\ud55c'.repeat(300000)],
  ['empty array', []], ['array', [1, 'a', null, undefined, true, 2.5]], ['holes', [1, , undefined, , 5, ,]], ['sparse', sparse],
  ['nested', { a: { b: [{}] } }], ['integer keys', { 1: 'a', b: 2, 4294967294: 3, 4294967295: 4, '01': 5, '-1': 6 }],
  ['odd keys', { '': 1, '\u20ac': 2, '\ud800': 3, __proto__x: 4, 'a b': 5 }], ['many keys', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => ['k' + i, i]))],
  ['date', new Date(1e12)], ['old date', new Date(-8.64e15)], ['invalid date', new Date(NaN)],
  ['regexp', /a+b\/c/gi], ['all flags', /x/dgimsuy], ['no flags', /\u20ac/], ['v flag', new RegExp('x', 'v')],
  ['map', new Map([[1, 'a'], ['k', {}], [NaN, -0], [shared, shared]])], ['empty map', new Map()], ['set', new Set([1, 'x', shared, NaN])],
  ['boxed', [new Boolean(true), new Boolean(false), new Number(-0), new String('s\u20ac'), Object(5n)]],
  ['errors', [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((Kind) => error(Kind, Kind.name + '!', 'at ' + Kind.name))],
  ['error without message', error(Error, undefined, 'stack')], ['error with cause', error(TypeError, 'outer', 'S', { why: [1, 2] })],
  ['shared', [shared, shared, { shared }]], ['circular', circular],
  ['array buffer', bytes('abc')], ['empty array buffer', bytes('')], ['resizable', new ArrayBuffer(3, { maxByteLength: 10 })],
  ['typed arrays', [array(Int8Array, -1, 1), array(Uint8Array, 255), array(Uint8ClampedArray, 300), array(Int16Array, -2), array(Uint16Array, 65535),
    array(Int32Array, -3), array(Uint32Array, 4294967295), array(Float32Array, 1.5, NaN), array(Float64Array, 0.1, -0),
    array(BigInt64Array, -1n), array(BigUint64Array, 2n ** 64n - 1n), new Uint8Array(0)]],
  ['subarray', new Uint8Array([9, 8, 7, 6]).subarray(1, 3)], ['data view', new DataView(bytes('abcdef'), 1, 3)],
  ['buffer', Buffer.from('hey')], ['empty buffer', Buffer.alloc(0)], ['same buffer twice', ((b) => [b, b])(Buffer.from('zz'))],
  ['large buffer', random], ['buffers of every size', [1, 100, 32767, 32768, 65535, 65536, 200000].map((n) => random.subarray(n, 2 * n))],
  ['large text beside a buffer', { text: 'x'.repeat(1 << 20), buffer: random.subarray(0, 1 << 20) }],
  ['class instance', Object.assign(new (class Foo {})(), { a: 1 })],
];
if (typeof Float16Array !== 'undefined') values.push(['float16', array(Float16Array, 1.5, -0)]);

const made = {
  undefined: undefined, null: null, number: -1.5, 'negative zero': -0, uint32: 4294967295, text: 'h\u00e9 \u20ac \u{1F600}',
  'lone surrogates': '\ud800 \udfff', 'long text': 't'.repeat(200000), bigint: -123456789012345678901234567890n, 'small bigint': -(2n ** 63n),
  array: [1, 'two', null], holes: [, 1, undefined, ,], object: { a: { b: [1, 2] }, 7: 'seven', '\u20ac': undefined }, date: new Date(1e12),
  'invalid date': new Date(NaN), regexp: /a\/b+/giy, error: error(RangeError, 'bad', 'the stack', { why: new Set([1]) }), 'bare error': new Error(),
  map: new Map([[1, 'a'], [[1], new Map()]]), set: new Set([1, 'x', NaN]), boxed: [new Number(1), new String('s'), new Boolean(false), Object(9n)],
  buffer: Buffer.from('hey'), 'large buffer': Buffer.alloc(3000000, 'b'), float32: array(Float32Array, 1.5, -2), uint64: array(BigUint64Array, 2n ** 64n - 1n),
  clamped: array(Uint8ClampedArray, 97, 98), 'data view': new DataView(bytes('view')), 'array buffer': bytes('bytes'),
  resizable: ((b) => (new Uint8Array(b).set([97, 98]), b))(new ArrayBuffer(2, { maxByteLength: 8 })),
};

// What isDeepStrictEqual does not look at: `stack` and `cause` of errors (Node 20), what an ArrayBuffer may grow to, which holes
// there are, the bytes of a view alone (its buffer is larger or smaller after a clone).
const seen = new Map();
function same(a, b, path) {
  const view = (x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  if (typeof a !== typeof b) return path;
  if (a === null || b === null || typeof a !== 'object') return Object.is(a, b) ? null : path;
  if (seen.has(a)) return seen.get(a) === b ? null : path + ' (not the same object)';
  seen.set(a, b);
  const plain = a.constructor.name === 'Foo';
  if (!plain && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return path + ' (prototype)';
  if (ArrayBuffer.isView(a)) return view(a).equals(view(b)) && a.length === b.length ? null : path;
  if (a instanceof ArrayBuffer && (a.resizable !== b.resizable || a.maxByteLength !== b.maxByteLength)) return path + ' (resizable)';
  if (a instanceof Error) {
    for (const key of ['name', 'message', 'cause']) {
      const wrong = same(a[key], b[key], `${path}.${key}`);
      if (wrong) return wrong;
    }
    return path.endsWith('bare error') || a.stack === b.stack ? null : path + '.stack';
  }
  for (const key of Object.keys(a)) {
    if (!Object.hasOwn(b, key)) return `${path}.${key} (missing)`;
    const wrong = same(a[key], b[key], `${path}.${key}`);
    if (wrong) return wrong;
  }
  if (Object.keys(a).length !== Object.keys(b).length || a.length !== b.length) return path + ' (size)';
  if (a instanceof Map || a instanceof Set) {
    const x = [...a], y = [...b];
    return x.length === y.length ? same(x, y, path + ' entries') : path + ' (size)';
  }
  if (a instanceof Date) return Object.is(a.getTime(), b.getTime()) ? null : path;
  return a instanceof RegExp || a instanceof ArrayBuffer || a.valueOf() !== a ?
    (isDeepStrictEqual(a, b) ? null : path) : null;
}
function check(name, expected, got) {
  seen.clear();
  const wrong = same(expected, got, name);
  // To Node 20, no invalid date equals another.
  const equal = /class|error|invalid date/.test(name) || isDeepStrictEqual(expected, got);
  if (wrong || !equal) console.log(`differs: ${wrong || name}: ${inspect(got).slice(0, 300)}`);
  else ++good;
}

let good = 0;
// Node sends no BigInt and no undefined by itself, but it takes them.
const expected = [...values.map(([name, value]) => [name, { value }]), ...Object.entries(made)];
const child = fork('-', [], { execPath: process.argv[2], serialization: 'advanced' });
process.on('warning', () => {});
let next = 0;
child.on('message', (got) => check(...expected[next++], got));
child.on('exit', (code) => console.log(`${next} of ${expected.length} came back, ${good} the same, exit ${code}`));
for (const [, value] of values) child.send({ value });
for (const name of Object.keys(made)) child.send({ make: name });
child.on('message', () => next === expected.length && child.disconnect());
