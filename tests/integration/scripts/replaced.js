// The worker of replaced.cc, in Node.
'use strict';
require('http').createServer((request, response) => {
  response.end(request.url.startsWith('/who') ? String(process.pid) : 'hello world\n');
}).listen(process.argv[process.argv.indexOf('--port') + 1]);
