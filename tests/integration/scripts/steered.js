// The worker of steered.cc, in Node.
'use strict';
require('http').createServer((request, response) => {
  if (request.url.startsWith('/block/')) {
    const end = Date.now() + Number(request.url.slice('/block/'.length));
    while (Date.now() < end);
  }
  request.resume().on('end', () => response.end('hello world\n'));
}).listen(process.argv[process.argv.indexOf('--port') + 1]);
