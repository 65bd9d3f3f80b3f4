// Asks the server on $PORT for a fast and a slow answer, and keeps its session until the server ends it.
'use strict';
const http2 = require('node:http2');

const session = http2.connect(`http://127.0.0.1:${process.env.PORT}`);
session.on('goaway', (code) => console.log(`goaway ${code}`));
session.on('close', () => console.log('closed'));
session.on('error', (error) => console.log(error.message));

function ask(path) {
  const stream = session.request({ ':path': path });
  let body = '';
  stream.setEncoding('utf8').on('data', (text) => (body += text));
  stream.on('error', (error) => console.log(`${path}: ${error.message}`));
  stream.on('end', () => console.log(`${path}: ${body.trim()}`));
}
ask('/');
if (process.argv[2] === 'slow') ask('/slow');
