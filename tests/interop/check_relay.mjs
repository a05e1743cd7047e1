// SPDX-License-Identifier: Apache-2.0
// Our relay between the reference's endpoints, and between one of them and ours, which knows no direct way.
//
//     check_relay.mjs WITNESS RELAY      see witness_iroh.c; RELAY is the program eidetica
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Endpoint, EndpointAddr, EndpointTicket, RelayMode, presetMinimal } from "@number0/iroh";

const ALPN = Array.from(Buffer.from("eidetica/v0"));
const [witnessPath, toolPath] = process.argv.slice(2);
let checked = 0;

function check(condition, what) {
  if (!condition) throw new Error(what);
  checked++;
}

function start(path, ...args) {
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  process.on("exit", () => child.kill());
  return { child, line: async () => (await lines.next()).value ?? "(it ended)" };
}

async function bind(url) {
  const builder = Endpoint.builder();
  presetMinimal(builder);
  builder.alpns([ALPN]);
  builder.relayMode(RelayMode.customFromUrls([url]));
  builder.bindAddr("127.0.0.1:0");
  return builder.bind();
}

// Answers every stream with its own bytes.
async function serve(endpoint) {
  for (let incoming; (incoming = await endpoint.acceptNext()) !== null; ) {
    const connection = await (await incoming.accept()).connect();
    (async () => {
      for (;;) {
        const stream = await connection.acceptBi();
        await stream.send.writeAll(await stream.recv.readToEnd(1 << 20));
        await stream.send.finish();
      }
    })().catch(() => {});
  }
}

const relay = start(toolPath, "relay", "--host", "127.0.0.1", "--port", "0", "--json");
const url = JSON.parse(await relay.line()).relay;
const server = await bind(url);
const client = await bind(url);
await server.online();
serve(server).catch(() => {});
const behind = new EndpointAddr(server.id(), url, []);

const connection = await client.connect(behind, ALPN);
check(connection.remoteId().equals(server.id()), "the ID of the one that was called");
const stream = await connection.openBi();
await stream.send.writeAll([1, 2, 3]);
await stream.send.finish();
check((await stream.recv.readToEnd(100)).join() === "1,2,3", "what came back between theirs");

const witness = start(witnessPath);
await witness.line();
witness.child.stdin.write(`ask ${EndpointTicket.fromAddr(behind).toString()} 100000\n`);
const answer = await witness.line();
check(answer === "ok 100000", `ours calls theirs: ${answer}`);

await client.close();
await server.close();
relay.child.kill("SIGTERM");
const stats = JSON.parse(await relay.line());
check(stats.accepted >= 3 && stats.refused === 0, "who was let in");
check(stats.bytes > 200000, "100 000 bytes went there and back by the relay");
console.log(`${checked} passed, 0 failed`);
process.exit(0);
