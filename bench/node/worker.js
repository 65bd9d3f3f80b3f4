// An unmodified Node server, for `cohort run`: worker.js PORT.
'use strict';
require('http').createServer((req, res) => res.end('hello world\n')).listen(Number(process.argv[2]));
