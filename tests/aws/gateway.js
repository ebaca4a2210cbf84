// SPDX-License-Identifier: Apache-2.0
'use strict';
// A stand-in for API Gateway: carries out what aws/template.yaml describes, given the template's resources
// with everything resolved. Verifies SigV4, asks the policies, throttles, forwards as HTTP_PROXY does.
//
// node gateway.js CONFIG.json, where CONFIG holds
//   resources  {logical name: {Type, Properties}}
//   region, account
//   keys       {access key: {secret, token, arn: of the IAM role or user}}
//   port, tls: {certificate, key}
//   provider   {ca, certificate, key}: files; the certificate is what the Stage's ClientCertificateId means
//   accessLog  file that the Stage's access log goes to
const crypto = require('node:crypto');
const fs = require('node:fs');
const https = require('node:https');
const { verify, Refused } = require('./sigv4.js');

const MAX_BODY = 10 * 1024 * 1024; // API Gateway's limit for a payload

// What belongs to one connection, and what API Gateway does not hand on: Host is that of the integration's
// URL, Authorization is dropped where IAM has used it up.
const NOT_FORWARDED = new Set(
  'authorization connection content-length expect host keep-alive proxy-authorization te trailer transfer-encoding upgrade'.split(' '),
);
// Comes back under another name.
const REMAPPED = new Set(['connection', 'date', 'server', 'transfer-encoding', 'content-length', 'keep-alive', 'www-authenticate']);

class Answer extends Error {
  constructor(status, message, type) {
    super(message);
    Object.assign(this, { status, type });
  }
}

const missingToken = () => new Answer(403, 'Missing Authentication Token', 'MissingAuthenticationTokenException');

// -- the template ---------------------------------------------------------------------------------------

function ofType(resources, type) {
  return Object.entries(resources)
    .filter(([, resource]) => resource.Type === type)
    .map(([name, resource]) => [name, resource.Properties]);
}

function pathOf(resources, name) {
  if (name === '/') return '';
  const { ParentId, PathPart } = resources[name].Properties;
  return `${pathOf(resources, ParentId)}/${PathPart}`;
}

function only(list, what) {
  if (list.length !== 1) throw new Error(`${list.length} resources of type ${what}, expected one`);
  return list[0];
}

// "integration.request.header.NAME": "'value'" -> [[NAME, value]]
function mappedHeaders(parameters) {
  return Object.entries(parameters || {}).map(([to, from]) => {
    const header = /^integration\.request\.header\.([0-9A-Za-z-]+)$/.exec(to);
    const value = /^'([^']*)'$/.exec(from);
    if (!header || !value) throw new Error(`a mapping that is not known here: ${to}`);
    return [header[1], value[1]];
  });
}

class Bucket {
  constructor(rate, burst) {
    Object.assign(this, { rate, burst, tokens: burst, at: Date.now() });
  }

  take() {
    const now = Date.now();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) / 1000) * this.rate);
    this.at = now;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

// The one stage with all that is to be known of it.
function deployed(resources) {
  const [apiName, api] = only(ofType(resources, 'AWS::ApiGateway::RestApi'), 'RestApi');
  const [, stage] = only(ofType(resources, 'AWS::ApiGateway::Stage'), 'Stage');
  const [settings] = stage.MethodSettings;
  const routes = new Map();
  for (const [, method] of ofType(resources, 'AWS::ApiGateway::Method')) {
    const path = pathOf(resources, method.ResourceId);
    routes.set(`${method.HttpMethod} /${stage.StageName}${path}`, {
      path,
      method,
      url: new URL(method.Integration.Uri),
      headers: mappedHeaders(method.Integration.RequestParameters),
      bucket: new Bucket(Number(settings.ThrottlingRateLimit), Number(settings.ThrottlingBurstLimit)),
    });
  }
  return { apiName, api, stage, routes, logFormat: stage.AccessLogSetting.Format };
}

// -- who may ----------------------------------------------------------------------------------------------

const list = (value) => (Array.isArray(value) ? value : [value]);

function matches(pattern, text) {
  const expression = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.');
  return new RegExp(`^${expression}$`).test(text);
}

function conditionHolds(condition, caller) {
  return Object.entries(condition || {}).every(([operator, tests]) =>
    Object.entries(tests).every(([key, values]) => {
      if (operator !== 'StringNotEquals' || key !== 'aws:PrincipalArn') throw new Error(`not known here: ${operator} ${key}`);
      return !list(values).includes(caller);
    }),
  );
}

function principalIs(principal, caller) {
  return principal === undefined || principal === '*' || list(principal.AWS).includes(caller);
}

// The effects of the statements that apply. resourceOf makes a full ARN of a policy's short form.
function effects(policy, caller, arn, resourceOf) {
  return policy.Statement.filter(
    (statement) =>
      list(statement.Action).some((action) => matches(action, 'execute-api:Invoke')) &&
      list(statement.Resource).some((resource) => matches(resourceOf(resource), arn)) &&
      principalIs(statement.Principal, caller) &&
      conditionHolds(statement.Condition, caller),
  ).map((statement) => statement.Effect);
}

// In one account: denied by either is denied, allowed by either is allowed, else denied.
function authorize(config, deployment, route, caller) {
  const base = `arn:aws:execute-api:${config.region}:${config.account}:${deployment.apiName}`;
  const arn = `${base}/${deployment.stage.StageName}/${route.method.HttpMethod}${route.path}`;
  const found = effects(deployment.api.Policy, caller, arn, (short) => short.replace(/^execute-api:/, base));
  for (const [, policy] of ofType(config.resources, 'AWS::IAM::Policy')) {
    const roles = policy.Roles.map((role) => `arn:aws:iam::${config.account}:role/${role}`);
    if (roles.includes(caller)) found.push(...effects(policy.PolicyDocument, caller, arn, (full) => full));
  }
  if (found.includes('Deny') || !found.includes('Allow'))
    throw new Answer(403, `User: ${caller} is not authorized to perform: execute-api:Invoke`, 'AccessDeniedException');
}

// -- forwarding -----------------------------------------------------------------------------------------

function forwardedHeaders(pairs, route, body) {
  const mapped = new Set(route.headers.map(([name]) => name.toLowerCase()));
  const kept = pairs.filter(([name]) => !NOT_FORWARDED.has(name.toLowerCase()) && !mapped.has(name.toLowerCase()));
  const headers = [...kept, ...route.headers, ['Host', route.url.host]];
  if (route.method.Integration.IntegrationHttpMethod !== 'GET') headers.push(['Content-Length', String(body.length)]);
  return headers;
}

// Without binary media types a body is a string of UTF-8 to API Gateway.
const asText = (body) => Buffer.from(body.toString('utf8'), 'utf8');

function forward(agent, route, pairs, body) {
  const { Integration } = route.method;
  const options = {
    agent,
    family: 4, // tests listen on 127.0.0.1, and localhost may be ::1 first
    method: Integration.IntegrationHttpMethod,
    headers: forwardedHeaders(pairs, route, body).flat(),
    timeout: Integration.TimeoutInMillis,
  };
  return new Promise((resolve, reject) => {
    const outgoing = https.request(route.url, options, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, pairs: pairsOf(answer), body: Buffer.concat(parts) }));
      answer.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Answer(504, 'Endpoint request timed out', 'InternalServerErrorException')));
    outgoing.on('error', reject);
    outgoing.end(Integration.IntegrationHttpMethod === 'GET' ? undefined : body);
  });
}

function pairsOf(message) {
  const raw = message.rawHeaders;
  return raw.filter((_, index) => index % 2 === 0).map((name, index) => [name, raw[2 * index + 1]]);
}

function remapped([name, value]) {
  return REMAPPED.has(name.toLowerCase()) ? [`x-amzn-Remapped-${name}`, value] : [name, value];
}

// -- one request ------------------------------------------------------------------------------------------

function readBody(request) {
  return new Promise((resolve, reject) => {
    const parts = [];
    let length = 0;
    request.on('data', (part) => {
      length += part.length;
      if (length <= MAX_BODY) parts.push(part);
    });
    request.on('end', () =>
      length <= MAX_BODY
        ? resolve(Buffer.concat(parts))
        : reject(new Answer(413, 'Request Entity Too Large', 'RequestTooLargeException')),
    );
    request.on('error', reject);
  });
}

async function handle(gateway, request, context) {
  const { config, deployment, agent } = gateway;
  const body = await readBody(request);
  const route = deployment.routes.get(`${request.method} ${context.path}`);
  if (!route) throw missingToken();
  const pairs = pairsOf(request);
  if (route.method.AuthorizationType === 'AWS_IAM') {
    const signed = { method: request.method, target: request.url, headers: pairs, body };
    const caller = verify(signed, config.keys, { region: config.region, service: 'execute-api' }, Date.now());
    context['identity.userArn'] = caller.arn;
    authorize(config, deployment, route, caller.arn);
  }
  if (!route.bucket.take()) throw new Answer(429, 'Too Many Requests', 'TooManyRequestsException');
  let answer;
  try {
    answer = await forward(agent, route, pairs, asText(body));
  } catch (error) {
    if (error instanceof Answer) throw error;
    process.stderr.write(`integration: ${error.message}\n`);
    throw new Answer(502, 'Internal server error', 'InternalServerErrorException');
  }
  context['integration.status'] = answer.status;
  return { ...answer, pairs: answer.pairs.map(remapped), body: asText(answer.body) };
}

function refusal(error) {
  const known = error instanceof Refused ? new Answer(403, error.message, 'InvalidSignatureException') : error;
  if (!(known instanceof Answer)) process.stderr.write(`${error.stack}\n`);
  const status = known.status || 500;
  const message = known.status ? known.message : 'Internal server error';
  return {
    status,
    message,
    pairs: [['Content-Type', 'application/json'], ['x-amzn-ErrorType', known.type || 'InternalServerErrorException']],
    body: Buffer.from(JSON.stringify({ message })),
  };
}

function writeAccessLog(gateway, context) {
  const line = gateway.deployment.logFormat.replace(/\$context\.([0-9A-Za-z.]+)/g, (_, name) => context[name] ?? '-');
  fs.appendFileSync(gateway.config.accessLog, `${line}\n`);
}

async function serve(gateway, request, response) {
  const started = Date.now();
  const context = {
    requestId: crypto.randomUUID(),
    requestTime: new Date(started).toISOString(),
    'identity.sourceIp': request.socket.remoteAddress,
    httpMethod: request.method,
    path: request.url.split('?')[0],
  };
  let answer;
  try {
    answer = await handle(gateway, request, context);
  } catch (error) {
    answer = refusal(error);
    context['error.messageString'] = JSON.stringify(answer.message).slice(1, -1);
  }
  Object.assign(context, { status: answer.status, responseLatency: Date.now() - started });
  writeAccessLog(gateway, context);
  const headers = [...answer.pairs, ['x-amzn-RequestId', context.requestId], ['Content-Length', String(answer.body.length)]];
  response.writeHead(answer.status, headers.flat());
  response.end(answer.body);
}

function main() {
  const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const deployment = deployed(config.resources);
  const proof = deployment.stage.ClientCertificateId
    ? { cert: fs.readFileSync(config.provider.certificate), key: fs.readFileSync(config.provider.key) }
    : {};
  const agent = new https.Agent({ keepAlive: true, ca: fs.readFileSync(config.provider.ca), ...proof });
  const gateway = { config, deployment, agent };
  const tls = { cert: fs.readFileSync(config.tls.certificate), key: fs.readFileSync(config.tls.key) };
  https.createServer(tls, (request, response) => void serve(gateway, request, response)).listen(config.port, '127.0.0.1');
}

main();
