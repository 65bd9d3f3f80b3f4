// Serves HTTPS on $PORT; each answer names the worker.
'use strict';
const { worker } = require('cluster');
const fs = require('fs');
const path = require('path');

const fixture = (name) => fs.readFileSync(path.join(__dirname, '../fixtures', name));
require('https').createServer({ key: fixture('key.pem'), cert: fixture('cert.pem') },
  (request, response) => response.end(`${worker.id}`)).listen(process.env.PORT);
