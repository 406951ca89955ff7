// Answers as recipes/stand_in.py does, as a Node.js server.
//
//     node _node_server.js PORT SETTINGS
//
// SETTINGS is JSON: keepAlive (false: every response closes), keepAliveTimeout in ms, limits (further options
// of http.createServer, in ms), graceful (whether SIGTERM has a handler, which calls server.close()) and grace,
// the ms after which that handler gives up on requests that still run; null: never.
// KEEPALIGN_STAND_IN holds [[path prefix, silence s, request s], …].

"use strict";

const http = require("node:http");

const [port, settings] = [Number(process.argv[2]), JSON.parse(process.argv[3])];
const rows = JSON.parse(process.env.KEEPALIGN_STAND_IN || "[]");
const PIECE = "keepalign stand-in\n";

// Silence and whole request of a path; the longest prefix decides, else at once.
function declared(path) {
  const fits = rows.filter(([prefix]) => path.startsWith(prefix));
  return fits.reduce((best, row) => (row[0].length > best[0].length ? row : best), ["", 0, 0]);
}

const options = { ...settings.limits, keepAliveTimeout: settings.keepAliveTimeout };
const server = http.createServer(options, (request, response) => {
  const [, silence, whole] = declared(request.url);
  if (!settings.keepAlive) response.setHeader("Connection", "close");
  response.setHeader("Content-Type", "text/plain");
  request.resume();
  let passed = silence;
  function piece() {
    if (silence > 0 && passed + silence <= whole) {
      passed += silence;
      response.write(PIECE);
      setTimeout(piece, silence * 1000);
    } else {
      response.end(PIECE);
    }
  }
  if (silence > 0) setTimeout(piece, silence * 1000);
  else piece();
});

if (settings.graceful) {
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    if (settings.grace !== null) setTimeout(() => process.exit(0), settings.grace).unref();
  });
}

server.listen({ port, host: "127.0.0.1", backlog: 1024 }, () => {
  console.error("keepalign stand-in: listening");
});
