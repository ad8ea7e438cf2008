// nghttp2's HTTP/2 server as Node has it, for the tests: main.js KEY CERTIFICATE OPTIONS, the options of
// http2.createSecureServer as JSON. It prints its port, and answers each request with the status that its path ends with
// and with as many bytes as it was sent.
const fs = require("fs");
const http2 = require("http2");

const [, , key, certificate, options] = process.argv;
const files = { key: fs.readFileSync(key), cert: fs.readFileSync(certificate) };
const server = http2.createSecureServer({ ...files, ...JSON.parse(options) });
server.on("stream", (stream, headers) => {
  let length = 0;
  stream.on("data", (data) => { length += data.length; });
  stream.on("end", () => {
    stream.respond({ ":status": Number(headers[":path"].split("/").pop()) });
    stream.end("y".repeat(length));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
