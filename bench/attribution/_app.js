// Answers as _app.py does, as a Node.js server.
//
//     node _app.js PORT KEEP_ALIVE_MS GRACEFUL GRACE_MS
//
// GRACEFUL "yes": SIGTERM calls server.close(), and GRACE_MS later the process ends.

"use strict";

const http = require("node:http");

const [port, keepAliveTimeout, graceful, grace] = process.argv.slice(2);

const server = http.createServer({ keepAliveTimeout: Number(keepAliveTimeout) }, (request, response) => {
  const words = (request.headers["x-work"] || "0 200 20 none").split(" ");
  const [seconds, status, size, fault] = [Number(words[0]), Number(words[1]), Number(words[2]), words[3]];
  function answer() {
    if (fault === "exit") process.kill(process.pid, "SIGKILL");
    if (fault === "garbage") {
      request.socket.end("oops: no HTTP here\r\n\r\n");
      return;
    }
    if (fault === "headers") {
      for (let number = 0; number < 40; number++) response.setHeader(`X-Debug-${number}`, "x".repeat(1000));
    }
    response.writeHead(status, { "Content-Type": "application/json", "Content-Length": size });
    response.end("x".repeat(size));
  }
  request.resume();
  request.on("end", () => (seconds ? setTimeout(answer, seconds * 1000) : answer()));
});

if (graceful === "yes") {
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), Number(grace)).unref();
  });
}

server.listen({ port: Number(port), host: "127.0.0.1", backlog: 1024 }, () => {
  console.error("attribution: listening");
});
