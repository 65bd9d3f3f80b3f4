// An ordinary Node server, which knows of no cluster: `cohort run examples/node/hello.js` serves it on every core.
const http = require('node:http');

const port = Number(process.argv[2] ?? 8000);
http.createServer((req, res) => res.end('hello world\n')).listen(port);
