// SPDX-License-Identifier: Apache-2.0
// The library's Iroh endpoint against the reference's, both ways, directly over loopback.
//
//     check_iroh.mjs WITNESS      see witness_iroh.c
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Endpoint, EndpointAddr, EndpointId, EndpointTicket, SecretKey, presetMinimal } from "@number0/iroh";

const OURS = Array.from(Buffer.from("eidetica/v0"));
const OTHER = Array.from(Buffer.from("other/1"));
const MIB = 1 << 20;
// The reference's binding carries every byte as a number: 64 MiB take it half a minute.
const SIZES = [1, 1200, MIB, (process.env.CI === "true" ? 64 : 4) * MIB];
let checked = 0;

function check(condition, what) {
  if (!condition) throw new Error(what);
  checked++;
}

function pattern(from, len) {
  const bytes = new Array(len);
  for (let i = 0; i < len; i++) {
    const at = from + i;
    bytes[i] = (at * 7 + (at >>> 8) * 13 + (at >>> 16)) & 255;
  }
  return bytes;
}

// ---- Our endpoint, in a process ----

async function startWitness(path, ...args) {
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => (await lines.next()).value ?? "(it ended)";
  const ticket = await line();
  return {
    ticket,
    addr: EndpointTicket.fromString(ticket).endpointAddr(),
    ask: async (command) => {
      child.stdin.write(command + "\n");
      return line();
    },
    end: () =>
      new Promise((done) => {
        child.on("exit", done);
        child.stdin.end();
      }),
  };
}

// ---- The reference's ----

async function bind(alpns) {
  const builder = Endpoint.builder();
  presetMinimal(builder);
  builder.alpns(alpns);
  builder.bindAddr("127.0.0.1:0");
  return builder.bind();
}

function ticketOf(endpoint, id = endpoint.id()) {
  const direct = endpoint.boundSockets().filter((text) => text.startsWith("127.0.0.1:"));
  return EndpointTicket.fromAddr(new EndpointAddr(id, null, direct)).toString();
}

async function echoStream(stream) {
  for (;;) {
    const bytes = await stream.recv.read(MIB);
    if (bytes.length === 0) break;
    await stream.send.writeAll(bytes);
  }
  await stream.send.finish();
}

// Answers every stream of every caller with its own bytes; tells who called.
async function serve(endpoint, callers) {
  for (let incoming; (incoming = await endpoint.acceptNext()) !== null; ) {
    (async () => {
      const connection = await (await incoming.accept()).connect();
      callers.push(connection.remoteId().toString());
      for (;;) echoStream(await connection.acceptBi()).catch(() => {});
    })().catch(() => {});
  }
}

// ---- What is compared ----

async function theyDial(witness) {
  const client = await bind([OURS]);
  const connection = await client.connect(witness.addr, OURS);
  check(connection.remoteId().equals(witness.addr.id()), "the ID of the one that was dialled");
  for (const len of SIZES) {
    const stream = await connection.openBi();
    const sending = (async () => {
      for (let at = 0; at < len; at += MIB) await stream.send.writeAll(pattern(at, Math.min(MIB, len - at)));
      await stream.send.finish();
    })();
    await sending;
    let at = 0;
    for (let bytes; (bytes = await stream.recv.read(MIB)).length !== 0; at += bytes.length) {
      const wanted = pattern(at, bytes.length);
      if (!Buffer.from(bytes).equals(Buffer.from(wanted))) throw new Error(`bytes from ${at} of ${len} differ`);
    }
    check(at === len, `${at} of ${len} bytes came back`);
  }
  const many = [];
  for (let i = 0; i < 200; i++)
    many.push(
      (async () => {
        const stream = await connection.openBi();
        await stream.send.writeAll(pattern(0, 1 + i));
        await stream.send.finish();
        return (await stream.recv.readToEnd(MIB)).length === 1 + i;
      })(),
    );
  check((await Promise.all(many)).every(Boolean), "200 requests at once");
  connection.close(5n, Array.from(Buffer.from("enough")));
  const again = await client.connect(witness.addr, OURS);
  check(again.alpn().join() === OURS.join(), "a second connection");
  await client.close();
}

async function weDial(witness) {
  const callers = [];
  const server = await bind([OURS]);
  serve(server, callers);
  for (const len of SIZES)
    check((await witness.ask(`ask ${ticketOf(server)} ${len}`)) === `ok ${len}`, `${len} bytes both ways`);
  check((await witness.ask(`many ${ticketOf(server)} 200`)) === "ok 200", "200 requests at once");
  check(callers.length === 1, `one connection carries all of them, not ${callers.length}`);
  check(callers[0] === witness.addr.id().toString(), "the ID of the one that called");
  await server.close();
}

async function whatIsRefused(witness, path) {
  const server = await bind([OURS]);
  const stranger = await bind([OTHER]);
  serve(server, []);
  serve(stranger, []);
  const other = SecretKey.generate().public();
  let line = await witness.ask(`ask ${ticketOf(server, other)} 1`);
  check(line.startsWith("EID_ERR_CONNECTION_FAILED: ") && line.includes("key"), `we dial a wrong ID: ${line}`);
  line = await witness.ask(`ask ${ticketOf(stranger)} 1`);
  check(line.startsWith("EID_ERR_CONNECTION_FAILED: ") && line.includes("protocol"), `we dial a wrong protocol: ${line}`);
  const wrong = new EndpointAddr(other, null, witness.addr.directAddresses());
  check(await fails(server.connect(wrong, OURS)), "they dial a wrong ID");
  check(await fails(server.connect(witness.addr, OTHER)), "they dial a wrong protocol");
  const foreign = await startWitness(path, "other/1");
  line = await foreign.ask(`ask ${ticketOf(stranger)} 10`);
  check(line === "ok 10", `another protocol, on both sides: ${line}`);
  await foreign.end();
  await server.close();
  await stranger.close();
}

async function fails(promise) {
  return promise.then(
    () => false,
    () => true,
  );
}

// Callers are sent a Retry, are refused, reset, or left.
async function oddServers(witness) {
  const held = [];
  const behave = async (server, what) => {
    for (let incoming; (incoming = await server.acceptNext()) !== null; ) {
      if (what === "retry" && !(await incoming.remoteAddrValidated())) {
        await incoming.retry();
        continue;
      }
      if (what === "refuse") {
        await incoming.refuse();
        continue;
      }
      const connection = await (await incoming.accept()).connect();
      held.push(connection);
      const stream = await connection.acceptBi();
      if (what === "reset") await stream.send.reset(9n);
      else if (what === "close") connection.close(77n, []);
      else await echoStream(stream);
    }
  };
  for (const [what, wanted] of [
    ["retry", "ok 1000"],
    ["refuse", "EID_ERR_CONNECTION_FAILED: "],
    ["reset", "EID_ERR_NETWORK: The peer broke the request off (code 9)"],
    ["close", "EID_ERR_NETWORK: The Iroh endpoint closed the connection (code 77)"],
  ]) {
    const odd = await bind([OURS]);
    behave(odd, what).catch(() => {});
    const line = await witness.ask(`ask ${ticketOf(odd)} 1000`);
    check(line.startsWith(wanted), `${what}: ${line}`);
    await odd.close();
  }
}

const path = process.argv[2];
const witness = await startWitness(path);
check(witness.addr.id().equals(EndpointId.fromString("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c")), "the ID of the seed");
for (const part of [theyDial, weDial, whatIsRefused, oddServers]) {
  const began = Date.now();
  await part(witness, path);
  console.log(`${part.name}: ${Date.now() - began} ms`);
}
await witness.end();
console.log(`${checked} passed, 0 failed`);
process.exit(0);
