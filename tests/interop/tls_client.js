// Asks https://localhost:$PORT, a connection for each request, until two workers have answered.
// Every connection but the first offers the session of the first, whose ticket the other worker can
// read only if the primary gave both the same keys. Prints `resumed` if all but the first were.
'use strict';
const fs = require('fs');
const https = require('https');
const path = require('path');

const ca = fs.readFileSync(path.join(__dirname, 'fixtures/cert.pem'));
// TLS 1.2: a ticket may be used more than once, and comes before the answer.
const options = { ca, port: process.env.PORT, agent: false, maxVersion: 'TLSv1.2' };
const workers = new Set();
const reused = [];
let session;

function ask() {
  const request = https.get({ ...options, session }, (response) => {
    reused.push(response.socket.isSessionReused());
    session ??= response.socket.getSession();
    response.setEncoding('utf8').on('data', (worker) => workers.add(worker));
    response.on('end', () => {
      if (workers.size < 2) return ask();
      const [first, ...others] = reused;
      console.log(!first && others.every(Boolean) ? 'resumed' : `not resumed: ${reused}`);
    });
  });
  request.on('error', (error) => {
    console.log(`failed: ${error.message}`);
    process.exitCode = 1;
  });
}
ask();
