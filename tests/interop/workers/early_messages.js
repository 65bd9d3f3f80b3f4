// Returns the messages that were sent before it even ran. (Later than in its first turn it would
// get none of them, under any primary: the cluster's own listener takes them.)
'use strict';
process.on('message', (message) => process.send({ early: message }));
