// SPDX-License-Identifier: Apache-2.0
'use strict';
// The signing client: AWS's own package signs, and what a test wants spoilt is spoilt afterwards.
// Reads one JSON object from standard input: {ca, requests: [{url, method, headers, body (base64),
// credentials, region, service, date (ISO), signer: {…options}, after: {method, target, headers, body, drop}}]}.
// A request without credentials is not signed. Writes [{status, headers: [[name, value]], body (base64)}].
const fs = require('node:fs');
const https = require('node:https');
const { SignatureV4 } = require('@smithy/signature-v4');
const { Sha256 } = require('@aws-crypto/sha256-js');

function queryOf(url) {
  const query = {};
  for (const [name, value] of url.searchParams) query[name] = value;
  return query;
}

async function sign(request, url, body) {
  const signer = new SignatureV4({
    service: request.service || 'execute-api',
    region: request.region,
    credentials: request.credentials,
    sha256: Sha256,
    ...request.signer,
  });
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'https:',
      hostname: url.hostname,
      port: Number(url.port),
      path: url.pathname,
      query: queryOf(url),
      headers: { ...request.headers, host: url.host },
      body,
    },
    request.date ? { signingDate: new Date(request.date) } : {},
  );
  return signed.headers;
}

function send(agent, url, method, target, headers, body) {
  return new Promise((resolve, reject) => {
    // Tests listen on 127.0.0.1, and localhost may be ::1 first.
    const outgoing = https.request(
      { agent, host: url.hostname, family: 4, port: url.port, method, path: target, headers, timeout: 35000 },
      (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => {
          const raw = answer.rawHeaders;
          const pairs = raw.filter((_, index) => index % 2 === 0).map((name, index) => [name, raw[2 * index + 1]]);
          resolve({ status: answer.statusCode, headers: pairs, body: Buffer.concat(parts).toString('base64') });
        });
        answer.on('error', reject);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function one(agent, request) {
  const url = new URL(request.url);
  const after = request.after || {};
  const body = Buffer.from(request.body || '', 'base64');
  let headers = { ...request.headers, host: url.host };
  if (request.credentials) headers = await sign(request, url, body);
  for (const name of after.drop || []) delete headers[name];
  Object.assign(headers, after.headers);
  const sent = after.body === undefined ? body : Buffer.from(after.body, 'base64');
  headers['content-length'] = sent.length;
  const target = after.target || url.pathname + url.search;
  return send(agent, url, after.method || request.method, target, headers, sent);
}

async function main() {
  const { ca, requests, together } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const agent = new https.Agent({ ca: fs.readFileSync(ca), keepAlive: true });
  const answers = [];
  if (together) answers.push(...(await Promise.all(requests.map((request) => one(agent, request)))));
  else for (const request of requests) answers.push(await one(agent, request));
  agent.destroy();
  process.stdout.write(JSON.stringify(answers));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
