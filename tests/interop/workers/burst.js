// Sends 5 000 messages and exits with 7 in the same turn.
'use strict';
for (let n = 0; n < 5000; ++n) process.send(n);
process.exit(7);
