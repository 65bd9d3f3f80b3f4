// What examples/binary_worker.cc does, in JavaScript: what it is compared with, in speed and in result.
'use strict';
const crypto = require('node:crypto');

const digest = (data) => {
  const histogram = new Float64Array(256);
  for (let i = 0; i < data.length; ++i) ++histogram[data[i]];
  return { sha256: crypto.createHash('sha256').update(data).digest('hex'), bytes: data.length, histogram };
};

// As one writes it.
const aggregateIdiomatic = (csv, key, value) => {
  const lines = csv.toString().split('\n');
  const columns = lines[0].split(',');
  const keyColumn = columns.indexOf(key);
  const valueColumn = columns.indexOf(value);
  const groups = new Map();
  for (let i = 1; i < lines.length; ++i) {
    if (lines[i] === '') continue;
    const fields = lines[i].split(',');
    const number = Number(fields[valueColumn]);
    const group = groups.get(fields[keyColumn]);
    if (group === undefined) {
      groups.set(fields[keyColumn], { count: 1, sum: number, min: number, max: number });
    } else {
      ++group.count;
      group.sum += number;
      group.min = Math.min(group.min, number);
      group.max = Math.max(group.max, number);
    }
  }
  return groups;
};

// Tuned by hand: no strings but one for each group, a hash table of integers, numbers made of their digits. The key's
// column comes before the value's.
const aggregateTuned = (csv, key, value) => {
  const COMMA = 44;
  const NEWLINE = 10;
  const MINUS = 45;
  const end = csv.length;
  let at = csv.indexOf(NEWLINE) + 1;
  const columns = csv.toString('utf8', 0, at - 1).split(',');
  const keyColumn = columns.indexOf(key);
  const valueColumn = columns.indexOf(value);
  let places = new Int32Array(4096).fill(-1);
  let mask = places.length - 1;
  const groups = []; // { start, size, hash, count, sum, min, max }

  const isKeyOf = (group, start, size) => {
    if (group.size !== size) return false;
    for (let i = 0, first = group.start; i < size; ++i) if (csv[first + i] !== csv[start + i]) return false;
    return true;
  };
  const grow = () => {
    places = new Int32Array(places.length * 2).fill(-1);
    mask = places.length - 1;
    groups.forEach(({ hash }, i) => {
      let place = hash & mask;
      while (places[place] !== -1) place = (place + 1) & mask;
      places[place] = i;
    });
  };

  while (at < end) {
    for (let column = 0; column < keyColumn; ++column) while (csv[at++] !== COMMA);
    const start = at;
    let hash = 0;
    for (let byte = csv[at]; byte !== COMMA; byte = csv[++at]) hash = Math.imul(hash ^ byte, 0x01000193);
    hash ^= hash >>> 15;
    const size = at - start;
    for (let column = keyColumn; column < valueColumn; ++column) while (csv[at++] !== COMMA);
    const isNegative = csv[at] === MINUS;
    if (isNegative) ++at;
    let number = 0;
    let byte = csv[at];
    for (; byte !== COMMA && byte !== NEWLINE && at < end; byte = csv[++at]) number = number * 10 + byte - 48;
    if (isNegative) number = -number;
    while (at < end && csv[at] !== NEWLINE) ++at;
    ++at;

    let place = hash & mask;
    let group;
    for (; places[place] !== -1; place = (place + 1) & mask) {
      const candidate = groups[places[place]];
      if (candidate.hash === hash && isKeyOf(candidate, start, size)) {
        group = candidate;
        break;
      }
    }
    if (group === undefined) {
      places[place] = groups.length;
      groups.push({ start, size, hash, count: 1, sum: number, min: number, max: number });
      if (groups.length * 2 > places.length) grow();
    } else {
      ++group.count;
      group.sum += number;
      if (number < group.min) group.min = number;
      if (number > group.max) group.max = number;
    }
  }
  return new Map(groups.map(({ start, size, count, sum, min, max }) =>
    [csv.toString('utf8', start, start + size), { count, sum, min, max }]));
};

// One pass: each byte becomes the mean of those of its colour within `radius`, first in its row, then in its column, with
// running sums; beyond the edge its pixels go on. The columns are done row by row, as the memory lies.
const blurPass = (from, across, to, width, height, radius) => {
  const row = width * 3;
  const weight = Math.ceil(65536 / (2 * radius + 1));
  for (let y = 0; y < height; ++y) {
    const first = y * row;
    const last = first + row - 3;
    for (let colour = 0; colour < 3; ++colour) {
      let sum = 0;
      for (let i = -radius; i <= radius; ++i) sum += from[Math.min(first + Math.max(i, 0) * 3, last) + colour];
      for (let x = 0; x < width; ++x) {
        const at = first + x * 3;
        across[at + colour] = (sum * weight) >>> 16;
        sum += from[Math.min(at + (radius + 1) * 3, last) + colour] - from[Math.max(at - radius * 3, first) + colour];
      }
    }
  }
  const sums = new Int32Array(row);
  for (let i = -radius; i <= radius; ++i) {
    const first = Math.min(Math.max(i, 0), height - 1) * row;
    for (let x = 0; x < row; ++x) sums[x] += across[first + x];
  }
  for (let y = 0; y < height; ++y) {
    const at = y * row;
    const comes = Math.min(y + radius + 1, height - 1) * row;
    const goes = Math.max(y - radius, 0) * row;
    for (let x = 0; x < row; ++x) {
      to[at + x] = (sums[x] * weight) >>> 16;
      sums[x] += across[comes + x] - across[goes + x];
    }
  }
};

// Of a PPM image without comments; gives another. `memory` is two arrays as large as its pixels, to be used again.
const blur = (ppm, { radius = 4, passes = 1, shrink = 1 }, memory) => {
  const [header, width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(ppm.toString('latin1', 0, 64));
  const [w, h] = [Number(width), Number(height)];
  const pixels = ppm.subarray(header.length, header.length + w * h * 3);
  const [across, blurred] = memory ?? [new Uint8Array(pixels.length), new Uint8Array(pixels.length)];
  let from = pixels;
  for (let i = 0; i < passes; ++i) {
    blurPass(from, across, blurred, w, h, radius);
    from = blurred;
  }
  const [outWidth, outHeight] = [Math.floor(w / shrink), Math.floor(h / shrink)];
  const head = Buffer.from(`P6\n${outWidth} ${outHeight}\n255\n`);
  const out = Buffer.allocUnsafeSlow(head.length + outWidth * outHeight * 3);
  head.copy(out);
  const count = shrink * shrink;
  let at = head.length;
  for (let y = 0; y < outHeight; ++y) {
    for (let x = 0; x < outWidth * 3; x += 3) {
      for (let colour = 0; colour < 3; ++colour) {
        let sum = 0;
        for (let dy = 0; dy < shrink; ++dy) {
          const first = ((y * shrink + dy) * w + (x / 3) * shrink) * 3 + colour;
          for (let dx = 0; dx < shrink * 3; dx += 3) sum += from[first + dx];
        }
        out[at++] = (sum / count) | 0;
      }
    }
  }
  return out;
};

module.exports = { digest, aggregateIdiomatic, aggregateTuned, blur };
