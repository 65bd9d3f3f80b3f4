// The worker of steered.cc, in Node.
'use strict';
require('http').createServer((request, response) => {
  const [, word, duration] = request.url.split('/');
  if (word === 'block' || word === 'who') {
    const end = Date.now() + Number(duration);
    while (Date.now() < end);
  }
  request.resume().on('end', () => response.end(word === 'who' ? String(process.pid) : 'hello world\n'));
}).listen(process.argv[process.argv.indexOf('--port') + 1]);
