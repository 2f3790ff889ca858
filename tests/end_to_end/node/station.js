// A station made of ocpp-rpc in strict mode: one order per line on standard input, one answer per line on standard output.
// Orders: {"order": n, "do": "connect" | "close"}, {"order": n, "do": "call", "action", "payload"}, {"order": n, "do": "answer", "action", "payload"}.
// Answers: {"order": n, "ok": ...} or {"order": n, "error": {"code", "description"}}; what the server calls: {"heard": action, "payload": ...}.
'use strict';

const readline = require('readline');
const { RPCClient, createRPCError } = require('ocpp-rpc');

const [endpoint, identity, protocol] = process.argv.slice(2);
const answers = new Map();
let client = null;

function tell(message) {
    process.stdout.write(JSON.stringify(message) + '\n');
}

function answerCall({ method, params }) {
    tell({ heard: method, payload: params });
    const answer = answers.get(method) ?? { status: 'Accepted' };
    if (answer._error) {
        throw createRPCError(answer._error, 'as the test wants it', {});
    }
    return answer;
}

async function connect() {
    client = new RPCClient({ endpoint, identity, protocols: [protocol], strictMode: true, reconnect: false, callTimeoutMs: 10000 });
    client.on('strictValidationFailure', ({ error }) => tell({ invalid: String(error.message), details: error.details ?? null }));
    client.handle(answerCall);
    await client.connect();
    return client.protocol;
}

async function obey(order) {
    switch (order.do) {
    case 'connect':
        return connect();
    case 'close':
        return client.close();
    case 'call':
        return client.call(order.action, order.payload);
    case 'answer':
        return void answers.set(order.action, order.payload);
    default:
        throw new Error(`no such order: ${order.do}`);
    }
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const order = JSON.parse(line);
    try {
        tell({ order: order.order, ok: (await obey(order)) ?? null });
    } catch (error) {
        tell({ order: order.order, error: { code: error.rpcErrorCode ?? error.name ?? 'Error', description: String(error.message) } });
    }
}).on('close', () => process.exit(0));
