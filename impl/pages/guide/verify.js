const crypto = require("node:crypto");
const http = require("node:http");

// verify throws unless the body (a Buffer) was signed with the secret within the last five minutes.
function verify(secret, headers, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300)) {
    throw new Error("the timestamp is missing or too old");
  }
  const mac = crypto.createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  const want = Buffer.from("v1," + mac.digest("base64"));
  const fits = (headers["webhook-signature"] || "").split(" ").some((signature) => {
    const given = Buffer.from(signature);
    return given.length === want.length && crypto.timingSafeEqual(given, want);
  });
  if (!fits) {
    throw new Error("no signature fits");
  }
}

const [host, port] = process.env.WEBHOOK_ADDRESS.split(":");
http
  .createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      try {
        verify(process.env.WEBHOOK_SECRET, request.headers, body);
      } catch (error) {
        response.writeHead(400).end(error.message);
        return;
      }
      const event = JSON.parse(body);
      console.log(`event ${event.id}: ${event.type}`);
      response.writeHead(204).end();
    });
  })
  .listen(Number(port), host);
